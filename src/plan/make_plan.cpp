#include "plan/make_plan.h"

#include <algorithm>
#include <limits>

#include "base/fail.h"
#include "plan/choose_schemes.h"
#include "scheme/fitting.h"
#include "vernier/scheme.h"

namespace vernier {

namespace {

PlanEntry entry_of(const TensorDamage& tensor, const std::string& scheme) {
  PlanEntry entry;
  entry.tensor = tensor.tensor;
  entry.role = role_name(tensor.role);
  entry.layer = tensor.layer;
  entry.rows = tensor.rows;
  entry.cols = tensor.cols;
  entry.scheme = scheme;
  entry.bytes = Scheme::parse(scheme).bytes(tensor.rows, tensor.cols);
  return entry;
}

TensorFacts facts_of(const TensorDamage& tensor) {
  return {tensor.role, tensor.layer, tensor.expert, {tensor.rows, tensor.cols}, tensor.stored_in};
}

/// What may become of a matrix: the target's schemes as its shape can take them, and what it is stored in; where the
/// target fixes it, that alone.
std::vector<std::string> open_schemes(const TensorDamage& tensor, const TargetRules& rules) {
  const TensorFacts facts = facts_of(tensor);
  if (!rules.why_fixed(facts).empty()) return {rules.fixed_scheme};
  std::vector<std::string> open;
  if (!tensor.stored_scheme.empty()) open.push_back(tensor.stored_scheme);
  for (const std::string& name : rules.schemes_for(facts)) {
    const std::string scheme = fitting_scheme(Scheme::parse(name), tensor.rows, tensor.cols).name();
    if (std::find(open.begin(), open.end(), scheme) == open.end()) open.push_back(scheme);
  }
  return open;
}

PlanItem item_of(const TensorDamage& tensor, const TargetRules& rules) {
  PlanItem item{tensor.tensor, {}};
  const bool fixed = !rules.why_fixed(facts_of(tensor)).empty();
  for (const std::string& scheme : open_schemes(tensor, rules)) {
    const std::optional<double> damage = fixed ? 0 : predicted_damage(tensor, scheme);
    if (!damage) continue;
    // Padded as in the file, so that the sum of the choices is the file's.
    const uint64_t bytes = rules.padded_bytes(Scheme::parse(scheme).bytes(tensor.rows, tensor.cols));
    item.candidates.push_back({scheme, bytes, *damage * tensor.counts});
  }
  if (item.candidates.empty())
    fail(
        ErrorKind::kInvalidArgument,
        "plan: {}: the diagnosis foretells the damage of no scheme that {} loads; diagnose again, with a --scheme that "
        "does not store the matrix exactly",
        tensor.tensor, rules.target);
  return item;
}

void finish(Plan& plan) {
  plan.tensor_bytes = 0;
  plan.predicted_kl_nats = 0;
  for (const PlanEntry& entry : plan.entries) {
    plan.tensor_bytes += entry.bytes;
    plan.predicted_kl_nats += entry.damage;
  }
}

constexpr uint64_t kAnySize = uint64_t{1} << 60;

/// The plan within the budget, or, where none is, how small a file can be.
struct Outcome {
  Plan plan;
  uint64_t smallest_bytes = 0;  ///< of any file; 0 when the budget is met
  bool all_foretold = true;     ///< whether the damage of every scheme that the target takes is known
};

Outcome solve(const std::vector<TensorDamage>& tensors, const PlanRequest& request) {
  const TargetRules& rules = request.rules;
  KnapsackProblem problem = planning_problem(tensors, rules);
  bool all_foretold = true;
  for (size_t i = 0; i < tensors.size(); ++i)
    all_foretold &= problem.items[i].candidates.size() == open_schemes(tensors[i], rules).size();

  const bool all_count_alike = std::ranges::all_of(tensors, [](const TensorDamage& t) { return t.counts == 1; });

  Outcome outcome{{}, 0, all_foretold};
  Plan& plan = outcome.plan;
  plan.target = rules.target;
  plan.label = "planned";
  if (!request.method.empty()) plan.method = request.method;
  plan.budget_text = request.budget_text;
  plan.budget_bytes = request.budget_bytes;
  const SchemeChooser chooser(tensors, request, problem);
  // Takes over a choice; returns what its tensors take in the file.
  const auto take = [&](const SchemeChoice& made) {
    plan.entries.clear();
    uint64_t padded = 0;
    for (size_t i = 0; i < tensors.size(); ++i) {
      const Candidate& choice = problem.items[i].candidates[made.solution.choice[i]];
      PlanEntry& entry = plan.entries.emplace_back(entry_of(tensors[i], choice.scheme));
      entry.damage = choice.damage / tensors[i].counts;
      entry.reason =
          choice.scheme == tensors[i].stored_scheme ? "as the source stores it, byte for byte" : made.reasons[i];
      if (tensors[i].counts != 1) entry.reason += fmt::format("; its nats count {:.2f} times", tensors[i].counts);
      padded += choice.bytes;
    }
    plan.price_per_byte = made.solution.price_per_byte;
    plan.lower_bound_kl_nats = all_count_alike ? made.solution.lower_bound : std::numeric_limits<double>::quiet_NaN();
    plan.objective = made.objective;
    finish(plan);
    return padded;
  };
  // What stands beside the tensors is as long whatever is chosen: the best plan of any size tells how long.
  problem.budget_bytes = kAnySize;
  const uint64_t padded = take(chooser.choose(problem));
  const uint64_t file = request.file_bytes(plan), beside = file - padded;
  if (file <= request.budget_bytes) return outcome;
  problem.budget_bytes = request.budget_bytes > beside ? request.budget_bytes - beside : 0;
  const SchemeChoice made = chooser.choose(problem);
  if (made.solution.feasible)
    take(made);
  else
    outcome.smallest_bytes = made.solution.smallest_bytes + beside;
  return outcome;
}

}  // namespace

KnapsackProblem planning_problem(const std::vector<TensorDamage>& tensors, const TargetRules& rules) {
  KnapsackProblem problem;
  std::vector<TensorFacts> facts;
  for (const TensorDamage& tensor : tensors) {
    problem.items.push_back(item_of(tensor, rules));
    facts.push_back(facts_of(tensor));
  }
  problem.tied = rules.tied(facts);
  return problem;
}

Plan plan_of_choice(const std::vector<TensorDamage>& tensors, const TargetRules& rules, const KnapsackProblem& problem,
                    const std::vector<size_t>& choice) {
  Plan plan;
  plan.target = rules.target;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const Candidate& chosen = problem.items[i].candidates[choice[i]];
    plan.entries.push_back(entry_of(tensors[i], chosen.scheme));
    plan.entries.back().damage = chosen.damage;
  }
  finish(plan);
  return plan;
}

std::optional<double> predicted_damage(const TensorDamage& tensor, const std::string& scheme) {
  if (scheme == tensor.stored_scheme) return 0;
  const auto foretold = tensor.kl.find(scheme);
  return foretold == tensor.kl.end() ? std::nullopt : std::optional(foretold->second);
}

Plan uniform_plan(const std::vector<TensorDamage>& tensors, const TargetRules& rules, const std::string& scheme) {
  Plan plan;
  plan.target = rules.target;
  plan.label = "uniform " + Scheme::parse(scheme).name();
  std::map<std::string, int> fallbacks;
  for (const TensorDamage& tensor : tensors) {
    if (const std::string why = rules.why_fixed(facts_of(tensor)); !why.empty()) {
      plan.entries.push_back(entry_of(tensor, rules.fixed_scheme));
      plan.entries.back().reason = why;
      continue;
    }
    const std::string fitting = fitting_scheme(Scheme::parse(scheme), tensor.rows, tensor.cols).name();
    PlanEntry entry = entry_of(tensor, fitting);
    entry.reason = "uniform";
    if (const std::string wanted = Scheme::parse(scheme).name(); fitting != wanted) {
      entry.wanted = wanted;
      entry.reason = fmt::format("{} does not fit rows of {}", wanted, tensor.cols);
      ++fallbacks[fitting];
    }
    entry.damage = predicted_damage(tensor, fitting).value_or(std::numeric_limits<double>::quiet_NaN());
    plan.entries.push_back(std::move(entry));
  }
  for (const auto& [fallback, count] : fallbacks)
    plan.label += fmt::format(", {} of {} as {}", count, tensors.size(), fallback);
  finish(plan);
  return plan;
}

void require_reachable(std::vector<TensorDamage> tensors, const PlanRequest& request) {
  for (TensorDamage& tensor : tensors) {
    tensor.kl.clear();
    for (const std::string& scheme : open_schemes(tensor, request.rules)) tensor.kl[scheme] = 0;
  }
  make_plan(tensors, request);
}

Plan make_plan(const std::vector<TensorDamage>& tensors, const PlanRequest& request) {
  Outcome outcome = solve(tensors, request);
  if (outcome.smallest_bytes == 0) return std::move(outcome.plan);
  const std::string asked = std::to_string(request.budget_bytes);
  fail(ErrorKind::kInfeasible,
       "plan: budget {} bytes cannot be met: the smallest file for {}{} is {} bytes; raise --budget{}",
       request.budget_text == asked ? asked : request.budget_text + " = " + asked, request.rules.target,
       outcome.all_foretold ? "" : " whose damage is known", outcome.smallest_bytes,
       outcome.all_foretold ? "" : ", or measure coarser schemes (diagnose --scheme, screen --schemes)");
}

uint64_t smallest_file(const std::vector<TensorDamage>& tensors, const PlanRequest& request) {
  PlanRequest nothing = request;
  nothing.budget_bytes = 0;
  return solve(tensors, nothing).smallest_bytes;
}

}  // namespace vernier
