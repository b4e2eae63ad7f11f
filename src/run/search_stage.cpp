// What the plan's search of values leaves of the damage of rounding. The uniform file that is foretold to be best is
// searched as the plan is, so that what tells them apart is the choice of schemes; and it tells that, before there is a plan.

#include <fmt/format.h>

#include <algorithm>

#include "run/run_stages.h"
#include "vernier/planning.h"
#include "vernier/quantize.h"
#include "vernier/value_search.h"

namespace vernier {

namespace {

constexpr const char* kDamage = "damage.json";
constexpr const char* kEffect = "work/search_effect.json";

bool search_tells(const RunContext& run) {
  return find_value_search(method_of(run.model, run.options)).judges_held_out;
}

/// The best-foretold uniform plan, where the plan's values are searched otherwise than those of all others.
std::optional<RunCandidate> plan_uniform_file(const RunContext& run, const DamageTable& rounded) {
  const std::string method = method_of(run.model, run.options);
  if (method == method_beside(method)) return std::nullopt;
  PlanningOptions planning{run.options.target, run.options.file, {}, run.options.codebooks};
  planning.method = method;
  const std::vector<Plan> fitting =
      uniform_plans_within(run.model, run.inputs.tokenizer, rounded, run.inputs.budget_bytes, planning);
  const auto best = std::ranges::min_element(fitting, {}, &Plan::predicted_kl_nats);
  if (best == fitting.end()) return std::nullopt;
  const RunCandidate candidate = candidate_of(run, *best, "uniform");
  run.stage("plan", "plan " + best->label, planning_key(run, rounded_damage(run), {method}), candidate.plan,
            [&](const std::filesystem::path& path) { write_json(path, plan_to_json(*best)); });
  return candidate;
}

/// Of a run in a hurry the uniform file is the first that is left out.
bool has_time_for_search(const RunContext& run) {
  const RunOptions& options = run.options;
  const std::string before_it = options.second_round                 ? "refine"
                                : options.effort == Effort::kExact   ? "diagnose"
                                : options.effort == Effort::kConfirm ? "confirm"
                                                                     : "screen";
  return run.clock.has_time_for(before_it, 0);
}

constexpr const char* kEffectStage = "search effect";

std::string effect_key(const RunContext& run, const RunCandidate& uniform) {
  return stage_key({run.directory.hash(uniform.file), run.directory.hash(uniform.plan)});
}

/// Of an earlier start: then it takes no time, whatever is left.
bool effect_is_known(const RunContext& run, const RunCandidate& uniform) {
  return run.directory.is_made("export " + uniform.label, export_key(run, uniform), uniform.file,
                               run.target.is_folder()) &&
         run.directory.is_made(kEffectStage, effect_key(run, uniform), kEffect);
}

SearchEffect effect_of(const RunContext& run, const Calibration& calibration, const RunCandidate& uniform) {
  const std::optional<SearchEffect> found = export_candidate(run, calibration, uniform);
  run.stage("export", kEffectStage, effect_key(run, uniform), kEffect, [&](const std::filesystem::path& path) {
    if (found) return write_json(path, search_effect_to_json(*found));
    // The file is there and what its search told is not: it is searched again.
    const QuantizedModel quantized =
        quantize(run.model, calibration, load_plan(run.directory, uniform.plan), resolve_threads(run.options.compute));
    quantized.in_memory(&run.progress);
    write_json(path, search_effect_to_json(quantized.search_effect()));
  });
  return search_effect_from_json(read_json(run.directory.path(kEffect)), kEffect);
}

}  // namespace

const char* rounded_damage(const RunContext& run) { return search_tells(run) ? "work/rounded.json" : kDamage; }

RunDamage search_stage(const RunContext& run, const Calibration& calibration, const DamageTable& rounded) {
  const std::optional<RunCandidate> uniform = plan_uniform_file(run, rounded);
  if (!search_tells(run)) return {rounded, rounded, uniform};
  const std::string method = method_of(run.model, run.options);
  std::string key = stage_key({run.directory.hash(rounded_damage(run)), method});
  SearchEffect effect{rounded.model_hash, method, {}};
  if (uniform && (effect_is_known(run, *uniform) || has_time_for_search(run))) {
    effect = effect_of(run, calibration, *uniform);
    key = stage_key({key, run.directory.hash(kEffect)});
  } else if (uniform) {
    run.progress.warn(
        fmt::format("--max-minutes {:g}: no time to search {} before the plan, which goes by what rounding does",
                    run.options.max_minutes, uniform->label));
  }
  RunDamage damage{rounded, after_search(rounded, effect), uniform};
  run.stage("plan", "searched damage", key, kDamage,
            [&](const std::filesystem::path& path) { write_json(path, damage_table_to_json(damage.searched)); });
  return damage;
}

}  // namespace vernier
