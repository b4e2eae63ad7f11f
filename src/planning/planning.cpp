#include "vernier/planning.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "base/fail.h"
#include "model/language_model.h"
#include "plan/llama_cpp_mix.h"
#include "plan/make_plan.h"
#include "planning/tensor_damages.h"
#include "vernier/plan_front.h"
#include "vernier/scheme.h"
#include "vernier/worst_choice.h"

namespace vernier {

namespace {

std::vector<PlanGroup> groups_of(const DamageTable& table) {
  std::vector<PlanGroup> groups;
  for (const GroupDamageTable& group : table.groups) groups.push_back({group.name, static_cast<double>(group.tokens)});
  return groups;
}

using SizeOf = std::function<uint64_t(const Plan&)>;

SizeOf size_for(const Target& target, const Model& model, const TokenizerModel& tokenizer,
                const PlanningOptions& options) {
  return [&](const Plan& plan) { return target.counted_bytes(model, plan, tokenizer, options.file); };
}

/// What "+0%" allows: the file of a uniform plan whose header names its own size as the budget.
uint64_t uniform_bytes(const std::vector<TensorDamage>& shapes, const TargetRules& rules, const std::string& scheme,
                       const SizeOf& size) {
  Plan plan = uniform_plan(shapes, rules, scheme);
  plan.budget_bytes = size(plan);
  return size(plan);
}

/// Where the blocks of one scheme do not divide the rows and it falls back to more bits, another may still fit.
uint64_t uniform_int4_bytes(const std::vector<TensorDamage>& shapes, const Target& target, const SizeOf& size) {
  uint64_t smallest = UINT64_MAX;
  for (const std::string& scheme : target.four_bit_schemes)
    smallest = std::min(smallest, uniform_bytes(shapes, target.rules, scheme, size));
  return smallest;
}

/// The budget where the uniform 4-bit file, which "+10%" is a share of, is known.
uint64_t budget_over(uint64_t int4, const Model& model, const std::string& budget, const Target& target,
                     const SizeOf& size) {
  return Budget::parse(budget).bytes(int4, static_cast<uint64_t>(model.parameters()),
                                     uniform_bytes(shapes_of(model, target), target.rules, "f16", size));
}

bool same_schemes(const Plan& a, const Plan& b) {
  return std::equal(
      a.entries.begin(), a.entries.end(), b.entries.begin(), b.entries.end(),
      [](const PlanEntry& x, const PlanEntry& y) { return x.tensor == y.tensor && x.scheme == y.scheme; });
}

/// As PlanningOptions::last_over_first says.
void count_by_depth(std::vector<TensorDamage>& tensors, const PlanningOptions& options) {
  if (options.last_over_first == 1) return;
  if (!(options.last_over_first > 0 && std::isfinite(options.last_over_first)))
    fail(ErrorKind::kInvalidArgument,
         "plan: the last layer's damage counts {} times the first's, expected a number > 0", options.last_over_first);
  if (options.objective.kind != PlanObjective::Kind::kMean)
    fail(ErrorKind::kInvalidArgument, "plan: damages that count by depth are planned by their mean, not by {}",
         options.objective.text());
  int64_t last = 0;
  for (const TensorDamage& tensor : tensors) last = std::max(last, tensor.layer);
  for (TensorDamage& tensor : tensors)
    if (tensor.layer >= 0 && last > 0)
      tensor.counts =
          std::pow(options.last_over_first, static_cast<double>(tensor.layer) / static_cast<double>(last) - 0.5);
}

}  // namespace

TargetRules planning_rules(const std::string& target, bool codebooks) {
  const TargetRules& rules = find_target(target).rules;
  return codebooks ? rules.with_codebooks() : rules;
}

DiagnoseOptions planning_diagnosis(const std::string& target, const std::string& scheme, bool codebooks) {
  DiagnoseOptions options;
  options.scheme = scheme;
  options.candidates = planning_rules(target, codebooks).schemes;
  return options;
}

Plan plan_within(const Model& model, const TokenizerModel& tokenizer, const DamageTable& table,
                 const std::string& budget, const PlanningOptions& options) {
  const Target& target = find_target(options.target);
  const SizeOf size = size_for(target, model, tokenizer, options);
  const uint64_t int4 = uniform_int4_bytes(shapes_of(model, target), target, size);
  PlanRequest request{.rules = planning_rules(options.target, options.codebooks),
                      .budget_text = budget,
                      .budget_bytes = budget_over(int4, model, budget, target, size),
                      .file_bytes = size,
                      .objective = options.objective,
                      .groups = groups_of(table)};
  request.method = options.method;
  std::vector<TensorDamage> tensors = tensor_damages(model, table, target);
  count_by_depth(tensors, options);
  Plan plan = make_plan(tensors, request);
  plan.provenance = table.provenance;
  plan.provenance["uniform_int4_bytes"] = int4;
  if (options.last_over_first != 1) plan.provenance["last_over_first"] = options.last_over_first;
  return plan;
}

namespace {

/// KL of a plan in nats by one group's damages, or by those of all (group -1).
double predicted_kl(const std::vector<TensorDamage>& tensors, const Plan& plan, int group) {
  double sum = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const std::string& scheme = plan.entries[i].scheme;
    if (scheme == tensors[i].stored_scheme) continue;  // as it is: nobody measured it, and it harms nobody
    sum += (group < 0 ? tensors[i].kl : tensors[i].group_kl[static_cast<size_t>(group)]).at(scheme);
  }
  return sum;
}

/// What each group may lose: by the plan, by the worst plan of all, and by the worst one for that group.
nlohmann::ordered_json worst_by_group(const std::vector<TensorDamage>& tensors, const DamageTable& table,
                                      const TargetRules& rules, const Plan& planned, const Plan& worst,
                                      uint64_t bytes) {
  nlohmann::ordered_json groups = nlohmann::ordered_json::array();
  for (size_t g = 0; g < table.groups.size(); ++g) {
    std::vector<TensorDamage> own = tensors;
    for (TensorDamage& tensor : own) tensor.kl = tensor.group_kl[g];
    const KnapsackProblem problem = planning_problem(own, rules);
    // As feasible as the worst of all, whose bytes are the same.
    const Plan least_lucky = plan_of_choice(own, rules, problem, worst_choice(problem, bytes).choice);
    groups.push_back({{"group", table.groups[g].name},
                      {"planned_kl_nats", predicted_kl(tensors, planned, static_cast<int>(g))},
                      {"worst_plan_kl_nats", predicted_kl(tensors, worst, static_cast<int>(g))},
                      {"worst_for_it_kl_nats", predicted_kl(own, least_lucky, -1)}});
  }
  return groups;
}

}  // namespace

Plan plan_worst(const Model& model, const DamageTable& table, const Plan& planned, const PlanningOptions& options) {
  const Target& target = find_target(options.target);
  const TargetRules rules = planning_rules(options.target, options.codebooks);
  const std::vector<TensorDamage> tensors = tensor_damages(model, table, target);
  const KnapsackProblem problem = planning_problem(tensors, rules);
  uint64_t bytes = 0;  // padded as the candidates are
  for (const PlanEntry& entry : planned.entries) bytes += rules.padded_bytes(entry.bytes);
  const KnapsackSolution worst = worst_choice(problem, bytes);
  if (!worst.feasible || planned.entries.size() != tensors.size())
    fail(ErrorKind::kInvalidArgument,
         "plan: {} has {} matrices in {} bytes, which no choice of {}'s schemes for {} has", planned.label,
         planned.entries.size(), bytes, options.target, tensors.size());
  Plan plan = plan_of_choice(tensors, rules, problem, worst.choice);
  plan.label = "worst";
  plan.budget_text = std::to_string(bytes);
  plan.budget_bytes = bytes;
  plan.provenance = table.provenance;
  for (size_t i = 0; i < plan.entries.size(); ++i) {
    const double more = plan.entries[i].damage - planned.entries[i].damage;
    if (more > 0.01 * plan.predicted_kl_nats)
      plan.entries[i].reason =
          fmt::format("{:.4g} nats more than as {}: {:.0f}% of what makes this the worst", more,
                      planned.entries[i].scheme, 100 * more / (plan.predicted_kl_nats - planned.predicted_kl_nats));
  }
  constexpr int64_t kMixes = 1000;
  const RandomChoices mixes = random_choices(problem, bytes, kMixes, 1);
  plan.provenance["random_mixes"] = {{"count", mixes.count},
                                     {"mean_kl_nats", mixes.mean},
                                     {"least_kl_nats", mixes.least},
                                     {"most_kl_nats", mixes.most}};
  if (!table.groups.empty())
    plan.provenance["worst_by_group"] = worst_by_group(tensors, table, rules, planned, plan, bytes);
  return plan;
}

PlanFront plan_front(const Model& model, const TokenizerModel& tokenizer, const DamageTable& table,
                     const PlanningOptions& options, int count) {
  if (count < 2) fail(ErrorKind::kInvalidArgument, "plan: a front of {} budgets, expected 2 or more", count);
  const Target& target = find_target(options.target);
  const std::vector<TensorDamage> tensors = tensor_damages(model, table, target);
  PlanRequest request{.rules = planning_rules(options.target, options.codebooks),
                      .file_bytes = size_for(target, model, tokenizer, options)};
  request.method = options.method;
  PlanFront front{options.target, {}};
  const auto add = [&](uint64_t budget) {
    request.budget_bytes = budget;
    request.budget_text = std::to_string(budget);
    FrontPoint point{0, 0, make_plan(tensors, request)};
    point.bytes = request.file_bytes(point.plan);
    point.bits_per_weight = bits_per_weight(point.bytes, model);
    point.plan.provenance = table.provenance;
    const bool better =
        front.points.empty() || point.plan.predicted_kl_nats < front.points.back().plan.predicted_kl_nats;
    if (better && (front.points.empty() || point.bytes > front.points.back().bytes))
      front.points.push_back(std::move(point));
  };
  const auto smallest = static_cast<double>(smallest_file(tensors, request));
  request.budget_bytes = uint64_t{1} << 60;  // no limit
  request.budget_text = std::to_string(request.budget_bytes);
  const auto largest = static_cast<double>(request.file_bytes(make_plan(tensors, request)));
  for (int i = 0; i < count; ++i)
    add(static_cast<uint64_t>(std::ceil(smallest * std::pow(largest / smallest, i / (count - 1.0)))));
  return front;
}

uint64_t reachable_budget(const Model& model, const TokenizerModel& tokenizer, const std::string& budget,
                          const PlanningOptions& options) {
  const Target& target = find_target(options.target);
  PlanRequest request{.rules = planning_rules(options.target, options.codebooks),
                      .budget_text = budget,
                      .budget_bytes = budget_bytes(model, tokenizer, budget, options),
                      .file_bytes = size_for(target, model, tokenizer, options)};
  request.method = options.method;
  require_reachable(shapes_of(model, target), request);
  return request.budget_bytes;
}

uint64_t budget_bytes(const Model& model, const TokenizerModel& tokenizer, const std::string& budget,
                      const PlanningOptions& options) {
  const Target& target = find_target(options.target);
  const SizeOf size = size_for(target, model, tokenizer, options);
  return budget_over(uniform_int4_bytes(shapes_of(model, target), target, size), model, budget, target, size);
}

std::vector<Plan> uniform_plans_within(const Model& model, const TokenizerModel& tokenizer, const DamageTable& table,
                                       uint64_t budget_bytes, const PlanningOptions& options) {
  const Target& target = find_target(options.target);
  const std::vector<TensorDamage> tensors = tensor_damages(model, table, target);
  const SizeOf size = size_for(target, model, tokenizer, options);
  std::vector<std::pair<uint64_t, Plan>> plans;
  const TargetRules rules = planning_rules(options.target, options.codebooks);
  for (const std::string& scheme : rules.schemes) {
    Plan plan = uniform_plan(tensors, rules, scheme);
    if (!options.method.empty()) plan.method = options.method;
    plan.budget_bytes = budget_bytes;
    const uint64_t bytes = size(plan);
    if (bytes > budget_bytes) continue;
    // Where fallbacks make two the same, the one that is what its name says stays.
    const auto same =
        std::find_if(plans.begin(), plans.end(), [&](const auto& p) { return same_schemes(p.second, plan); });
    if (same == plans.end())
      plans.emplace_back(bytes, std::move(plan));
    else if (plan.label.size() < same->second.label.size())
      *same = {bytes, std::move(plan)};
  }
  std::stable_sort(plans.begin(), plans.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Plan> result;
  for (auto& [bytes, plan] : plans) result.push_back(std::move(plan));
  return result;
}

namespace {
/// By its line, and whether or not a tensor is left for it.
void require_schemes(const Recipe& recipe) {
  for (const RecipeRule& rule : recipe.rules()) try {
      Scheme::parse(rule.scheme);
    } catch (const Error& e) {
      fail(e.kind(), "{}:{}: {}", recipe.origin(), rule.line, e.what());
    }
}
}  // namespace

Plan plan_from_recipe(const Model& model, const Recipe& recipe, const std::string& label, const std::string& target) {
  const TargetRules& rules = find_target(target).rules;
  require_schemes(recipe);
  Plan plan;
  plan.target = target;
  plan.label = label;
  std::vector<std::vector<std::string>> names;
  for (const TensorId& id : model.matrices()) {
    names.push_back({name_of(id)});
    for (const Target& other : targets()) names.back().push_back((model.blueprint().at(id).*other.file).name);
  }
  const std::vector<std::optional<size_t>> deciding = recipe.find_all(names);
  std::vector<bool> heeded(recipe.rules().size());  // by a matrix in the line's scheme, or in what its rows fit instead
  std::vector<std::string> why_not(recipe.rules().size());
  const std::vector<TensorDamage> tensors = shapes_of(model, find_target(target));
  for (size_t i = 0; i < tensors.size(); ++i) {
    const TensorDamage& tensor = tensors[i];
    if (!deciding[i])
      fail(ErrorKind::kInvalidArgument, "{}: no line matches {}; end it with `.* = gguf:q4_k`", recipe.origin(),
           tensor.tensor);
    const RecipeRule& rule = recipe.rules()[*deciding[i]];
    PlanEntry entry = uniform_plan({tensor}, rules, rule.scheme).entries[0];
    const bool as_asked = entry.scheme == Scheme::parse(rule.scheme).name();
    if (as_asked || !entry.wanted.empty())
      heeded[*deciding[i]] = true;
    else if (std::string& why = why_not[*deciding[i]]; why.empty())
      why = fmt::format("asks for {} of {}, but {}", rule.scheme, tensor.tensor, entry.reason);
    if (as_asked)
      entry.reason = rule.reason;
    else if (!rule.reason.empty())
      entry.reason += "; " + rule.reason;
    plan.tensor_bytes += entry.bytes;
    plan.entries.push_back(std::move(entry));
  }
  for (size_t i = 0; i < heeded.size(); ++i)
    if (!heeded[i])
      fail(ErrorKind::kInvalidArgument, "{}:{}: {} {}", recipe.origin(), recipe.rules()[i].line,
           recipe.rules()[i].pattern,
           why_not[i].empty() ? "matches no tensor that an earlier line leaves over" : why_not[i]);
  return plan;
}

Plan plan_uniform(const Model& model, const std::string& scheme, const std::string& target) {
  const Target& row = find_target(target);
  return uniform_plan(shapes_of(model, row), row.rules, scheme);
}

std::vector<std::string> preset_names() { return mix_names(); }

Plan plan_preset(const Model& model, const std::string& preset, const std::string& target) {
  const Target& row = find_target(target);
  const ModelConfig& config = model.config();
  require_language_model(config, model.source().name, "plan: a mix of llama.cpp");
  const AttentionConfig& attention = config.layer(0).attention;
  int64_t experts = 0;
  for (const LayerConfig& layer : config.layers) experts = std::max(experts, layer.feed_forward.experts.count);
  return mix_plan(shapes_of(model, row), row.rules,
                  {.layers = config.depth(),
                   .heads = attention.heads,
                   .kv_heads = attention.kv_heads,
                   .experts = experts,
                   .llama = config.family == "llama"},
                  preset);
}

std::optional<Plan> preset_within(const Model& model, const TokenizerModel& tokenizer, uint64_t budget_bytes,
                                  const PlanningOptions& options) {
  if (options.target != "llama.cpp") return std::nullopt;
  const SizeOf size = size_for(find_target(options.target), model, tokenizer, options);
  std::optional<Plan> largest;
  uint64_t most = 0;
  for (const std::string& name : preset_names()) {
    Plan plan = plan_preset(model, name, options.target);
    if (!options.method.empty()) plan.method = options.method;
    plan.budget_bytes = budget_bytes;
    const uint64_t bytes = size(plan);
    if (bytes > budget_bytes || bytes <= most) continue;
    most = bytes;
    largest = std::move(plan);
  }
  return largest;
}

double bits_per_weight(uint64_t file_bytes, const Model& model) {
  return 8.0 * static_cast<double>(file_bytes) / static_cast<double>(model.parameters());
}

Plan plan_as_stored(const Model& model, const std::string& label, const std::string& target) {
  Plan plan;
  plan.target = target;
  plan.label = label;
  const Target& row = find_target(target);
  for (const TensorDamage& tensor : shapes_of(model, row)) {
    plan.entries.push_back(uniform_plan({tensor}, row.rules, tensor.stored_scheme).entries[0]);
    plan.entries.back().reason = "as it is stored";
    plan.tensor_bytes += plan.entries.back().bytes;
  }
  return plan;
}

}  // namespace vernier
