#include "vernier/plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/fail.h"
#include "base/output_file.h"
#include "base/text_table.h"
#include "cli/command.h"
#include "cli/image_arguments.h"
#include "cli/plan_table.h"
#include "cli/subcommands.h"
#include "planning/unreached_experts.h"
#include "vernier/component.h"
#include "vernier/plan_front.h"
#include "vernier/planning.h"
#include "vernier/screen.h"

namespace vernier {

namespace {

std::optional<Limit> read_limit(const std::string& path, const Model& model) {
  if (path.empty()) return std::nullopt;
  const Json json = read_json(path);
  if (const Json* kind = json_find(json, "kind"); kind != nullptr && *kind == "limit")
    fail(ErrorKind::kInvalidArgument,
         "{}: holds the limits of the files of a run; expected the screen.json beside it, which has those of all sizes",
         path);
  Screen s = screen_from_json(json, path);
  if (!s.limit)
    fail(ErrorKind::kInvalidArgument, "{}: a screen without a limit; make it with `vernier screen MODEL --limit -o {}`",
         path, path);
  if (s.model_hash != model_hash(model))
    fail(ErrorKind::kInvalidArgument, "{}: the limit is of another model (hash {}, expected {})", path, s.model_hash,
         model_hash(model));
  return std::move(s.limit);
}

struct PlanArguments {
  std::string model, diagnosis, damage, screen, preset, budget = "+10%", target = "llama.cpp", output = "plan.json";
  std::string recipe, limit, worst, objective = "mean";
  std::string over_domains = std::string(objective_name(DomainObjective::kMean));
  ExportOptions options;
  CLI::Option* target_option = nullptr;
  double last_over_first = 1;  // PlanningOptions
  JsonArgument json;
  CommandFiles io;
  bool dry_run = false, front = false, codebooks = false;
};

/// Where `export`, `quantize` and `finetune` read a recipe, `plan` writes one: what somebody wrote by hand is not replaced.
/// What plan wrote is, edited or not, as any output.
void require_own_recipe(const std::string& path) {
  if (path.empty() || !std::filesystem::is_regular_file(path) || std::filesystem::is_empty(path)) return;
  std::ifstream file(path);
  std::string first;
  std::getline(file, first);
  if (!first.starts_with("# vernier recipe:"))
    fail(ErrorKind::kInvalidArgument,
         "plan: --recipe {} is there and was not written by `vernier plan`, which writes where export, quantize and "
         "finetune read; name another file",
         path);
}

/// Who screened a scheme expects it in the plan.
void warn_of_unplanned(const Screen& screen, const TargetRules& rules, Console& console) {
  std::vector<std::string> unplanned;
  for (const std::string& scheme : screen.schemes)
    if (std::ranges::find(rules.schemes, scheme) == rules.schemes.end()) unplanned.push_back(scheme);
  if (unplanned.empty()) return;
  console.progress.warn(fmt::format("plan: {} of the screen: no candidate for {}, which plans with {}",
                                    fmt::join(unplanned, ", "), rules.target, fmt::join(rules.schemes, ", ")));
}

/// Of the one artefact that is given.
DamageTable damage_of(const PlanArguments& a, const Model& model, const TargetRules& rules, Console& console) {
  if (!a.damage.empty()) return damage_table_from_json(read_artefact(a.damage, "run"), a.damage);
  if (!a.screen.empty()) {
    const Screen screen = screen_from_json(read_artefact(a.screen, "screen"), a.screen);
    warn_of_unplanned(screen, rules, console);
    return damage_table(model, screen, parse_objective(a.over_domains));
  }
  return damage_table(model, diagnosis_from_json(read_artefact(a.diagnosis, "diagnose"), a.diagnosis));
}

/// Empty for a preset. Warns of what its figures do not say.
DamageTable read_damage(const PlanArguments& a, const Model& model, const TargetRules& rules, Console& console) {
  if (!a.preset.empty()) return {};
  DamageTable table = damage_of(a, model, rules, console);
  if (const std::string note = unreached_note(table); !note.empty()) console.progress.warn(note);
  if (!a.screen.empty() && !components_of(model.config(), {ComponentKind::kExpert}).empty())
    console.progress.warn(
        "of a model with experts a screen foretells which matrices hurt more, and too few nats, the fewer the finer "
        "the scheme: that tokens change their experts is not in it. `vernier evaluate` measures");
  return table;
}

}  // namespace

void add_plan(CLI::App& app, Console& console) {
  auto* command = app.add_subcommand("plan", "Choose a scheme per tensor within a byte budget");
  auto a = std::make_shared<PlanArguments>();
  add_model(*command, a->io, a->model);
  auto* source = command->add_option_group("damage")->require_option(1);
  add_option(*source, "--diagnosis", a->diagnosis, "Artefact of `vernier diagnose`");
  a->io.reads(a->diagnosis);
  add_option(*source, "--damage", a->damage, "damage.json of a run: plans anew within any budget");
  a->io.reads(a->damage);
  auto* screen = add_option(*source, "--screen", a->screen, "Artefact of `vernier screen`: of the schemes that it has");
  a->io.reads(a->screen);
  auto* preset =
      add_option(*source, "--preset", a->preset,
                 fmt::format("What llama-quantize would choose, of any size: {}", fmt::join(preset_names(), ", ")));
  auto* budget = add_option(*command, "--budget", a->budget,
                            "+10% (over uniform int4), 4.5bpw, 3.8GiB, 16950144 or 50% (of 16 bit)")
                     ->capture_default_str();
  preset->excludes(budget);
  preset->excludes(add_objective(*command, a->objective));
  add_option(*command, "--over-domains", a->over_domains,
             "With --screen: what is made of the damages on several calibration texts: their mean, or the worst")
      ->capture_default_str()
      ->needs(screen);
  a->target_option = add_target(*command, a->target);
  preset->excludes(
      add_flag(*command, "--codebooks", a->codebooks,
               "iq2, iq3 and iq4_xs are candidates too, where their damage is known: of `run --best`, or of --screen"));
  auto* for_training = add_option(
      *command, "--for-training", a->last_over_first,
      "For a model that `vernier finetune` will train: the last layer's damage counts so many times the first's, since "
      "layers learn to make up for errors before them (docs/finetune.md)");
  for_training->excludes(preset);
  add_export_options(*command, a->options);
  auto* recipe = add_output(*command, a->io, "--recipe", a->recipe, "Also write the plan as editable text");
  preset->excludes(add_input(
      *command, a->io, "--limit", a->limit,
      "screen.json of `vernier screen --limit`, or of `vernier run --limit`: compare with the least KL of any code"));
  auto* front = add_flag(*command, "--front", a->front, "Print the best plans of all budgets instead of making one");
  preset->excludes(front);
  front->excludes(budget)->excludes(for_training);
  auto* worst = add_output(
      *command, a->io, "--worst", a->worst,
      "Also write the plan of as many bytes that is foretold to hurt most, and compare with it and random mixes");
  preset->excludes(worst);
  front->excludes(worst)->excludes(recipe);
  add_flag(*command, "--dry-run", a->dry_run, "Only print the plan");
  front->excludes(add_output(*command, a->io, "-o,--output", a->output, "Artefact to write")->capture_default_str());
  a->json.add(*command, a->io);
  command->callback([a, &console] {
    a->io.check();
    find_target(a->target);  // says what is not supported yet, before the model is read
    if (!a->dry_run) require_own_recipe(a->recipe);
    const Model model = open_model(a->model, console);
    const Target& target = find_target(target_for(*a->target_option, a->target, model));
    const TokenizerModel tokenizer = open_tokenizer_for(target, model, console);
    const PlanningOptions options{target.name, a->options, PlanObjective::parse(a->objective), a->codebooks,
                                  a->last_over_first};
    const std::optional<Limit> limit = read_limit(a->limit, model);
    if (a->front && options.objective.kind != PlanObjective::Kind::kMean)
      fail(ErrorKind::kInvalidArgument, "plan: --front shows plans of least mean damage; leave out --objective");
    const DamageTable damage = read_damage(*a, model, planning_rules(target.name, a->codebooks), console);
    if (a->front) {
      const PlanFront front = plan_front(model, tokenizer, damage, options);
      const Limit* known = limit ? &*limit : nullptr;
      if (!a->json.write(front_to_json(front, known), console)) print_front(front, known, console);
      return;
    }
    const Plan plan = a->preset.empty() ? plan_within(model, tokenizer, damage, a->budget, options)
                                        : plan_preset(model, a->preset, target.name);
    if (!a->dry_run) {
      write_json(a->output, plan_to_json(plan));
      if (!a->recipe.empty()) write_file(a->recipe, recipe_text(plan));
    }
    std::optional<Plan> worst;
    if (!a->worst.empty()) {
      worst = plan_worst(model, damage, plan, options);
      if (!a->dry_run) write_json(a->worst, plan_to_json(*worst));
    }
    Json json = plan_to_json(plan);
    if (limit) json["limit"] = limit_shares_to_json(limit_shares(*limit, plan, plan.predicted_kl_nats));
    if (a->json.write(json, console)) return;
    print_plan(plan, console);
    const uint64_t bytes = target.counted_bytes(model, plan, tokenizer, a->options);
    if (a->preset.empty())
      fmt::print(console.out, "\n{} of {} bytes ({:.3f} bits per weight), predicted KL {:.5f} nats, proven bound {}\n",
                 bytes, plan.budget_bytes, bits_per_weight(bytes, model), plan.predicted_kl_nats,
                 number_cell(plan.lower_bound_kl_nats, 5));
    else
      fmt::print(console.out, "\n{} bytes ({:.3f} bits per weight)\n", bytes, bits_per_weight(bytes, model));
    if (plan.objective) print_objective(*plan.objective, console);
    if (limit) print_limit_shares(limit_shares(*limit, plan, plan.predicted_kl_nats), console);
    if (worst) {
      const Json& mixes = worst->provenance["random_mixes"];
      fmt::print(
          console.out,
          "the worst mix of as many bytes: predicted KL {:.5f} nats, {:.1f} times as much; {} random ones: {:.5f} on "
          "average, {:.5f} to {:.5f}\n",
          worst->predicted_kl_nats, worst->predicted_kl_nats / plan.predicted_kl_nats, mixes["count"].get<int64_t>(),
          mixes["mean_kl_nats"].get<double>(), mixes["least_kl_nats"].get<double>(),
          mixes["most_kl_nats"].get<double>());
      if (const Json* groups = json_find(worst->provenance, "worst_by_group"))
        for (const Json& group : *groups)
          fmt::print(console.out,
                     "  {}: planned {:.5f} nats, by the worst mix {:.5f}, by the worst one for it {:.5f}\n",
                     group["group"].get<std::string>(), group["planned_kl_nats"].get<double>(),
                     group["worst_plan_kl_nats"].get<double>(), group["worst_for_it_kl_nats"].get<double>());
      for (const PlanEntry& entry : worst->entries)
        if (!entry.reason.empty())
          fmt::print(console.out, "  {} as {}: {}\n", entry.tensor, entry.scheme, entry.reason);
    }
    if (!a->dry_run) fmt::print(console.out, "-> {}\n", a->output);
  });
}

}  // namespace vernier
