// What every scheme would do to every matrix, by the evidence that was asked for.

#include <algorithm>
#include <cmath>
#include <string>

#include "base/fail.h"
#include "planning/unreached_experts.h"
#include "run/foretold_diagnosis.h"
#include "run/run_stages.h"
#include "vernier/planning.h"
#include "vernier/refine.h"

namespace vernier {

namespace {

constexpr const char* kScreen = "screen.json";
constexpr const char* kConfirmation = "work/confirmation.json";
constexpr const char* kRefinement = "work/refinement.json";

Screen screen_stage(const RunContext& run, const Calibration& calibration) {
  ScreenOptions options;
  options.schemes = planning_rules(run.options.target, run.options.codebooks).schemes;
  options.kfac_rows = 0;  // a plan is made of predicted_kl; `vernier screen` compares estimators
  options.seed = run.options.seed;
  options.compute = {.threads =
                         run.options.compute.threads};  // gradients are in float32 on the CPU, whatever the rest is
  options.limit = makes_limit(run.model, run.options, run.inputs);
  std::string key = stage_key({run.directory.hash("calibration.safetensors"), run.options.target, run.options.scheme,
                               std::to_string(options.seed), dtype_name(options.compute.type),
                               options.limit ? "limit" : "", run.options.codebooks ? "codebooks" : ""});
  if (std::find(options.schemes.begin(), options.schemes.end(), run.options.scheme) == options.schemes.end())
    options.schemes.push_back(run.options.scheme);  // what parts of matrices are shown at
  for (const ScreenText& text : run.inputs.screened) key = stage_key({key, text.name, text.data.hash});
  if (run.inputs.images) key = stage_key({key, run.inputs.images->diagnosis.inputs.hash});
  run.stage("screen", "screen", key, kScreen, [&](const std::filesystem::path& path) {
    save_screen(run.inputs.images ? screen(run.model, calibration, run.inputs.images->diagnosis, options, &run.progress)
                                  : screen(run.model, calibration, run.inputs.screened, options, &run.progress),
                path);
  });
  return screen_from_json(read_json(run.directory.path(kScreen)), kScreen);
}

/// Whether a round of confirming fits, by how long the rounds before it took.
class HasTime {
 public:
  explicit HasTime(const RunClock& clock) : clock_(clock) {}
  bool operator()(double share) {
    const double now = clock_.seconds();
    if (share_ > 0) seconds_per_share_ = std::max(seconds_per_share_, (now - began_) / share_);
    began_ = now;
    share_ = share;
    return clock_.has_time_for("confirm", seconds_per_share_ * share);
  }

 private:
  const RunClock& clock_;
  double began_ = 0, share_ = 0, seconds_per_share_ = 0;
};

Confirmation confirm_stage(const RunContext& run, const Calibration& calibration, const DamageTable& foretold) {
  ConfirmOptions options;
  options.budget = run.options.budget;
  options.planning = {run.options.target, run.options.file, {}, run.options.codebooks};
  options.scheme = run.options.scheme;
  options.seed = run.options.seed;
  options.compute = run.options.compute;
  HasTime has_time(run.clock);
  if (run.options.max_minutes > 0) options.may_go_on = [&](double share) { return has_time(share); };
  const std::string key =
      stage_key({run.directory.hash(kScreen),
                 run.inputs.images ? run.inputs.images->diagnosis.inputs.hash : run.inputs.diagnosis.hash,
                 options.budget, run.inputs.exported_as, options.scheme,
                 fmt::format("{} {} {}", options.seed, run.options.max_minutes, objective_name(run.options.domains))});
  run.stage("confirm", "confirm", key, kConfirmation, [&](const std::filesystem::path& path) {
    write_json(path, confirmation_to_json(run.inputs.images
                                              ? confirm(run.model, calibration, run.inputs.images->diagnosis, foretold,
                                                        options, &run.progress)
                                              : confirm(run.model, run.inputs.tokenizer, calibration,
                                                        run.inputs.diagnosis, foretold, options, &run.progress)));
  });
  return confirmation_from_json(read_json(run.directory.path(kConfirmation)), kConfirmation);
}

/// The table with what was measured around its plan, where that was asked for, and the artefact that says so.
std::pair<DamageTable, std::string> refine_stage(const RunContext& run, const Calibration& calibration,
                                                 const DamageTable& table, const std::string& evidence) {
  if (!run.options.second_round) return {table, evidence};
  RefineOptions options;
  options.budget = run.options.budget;
  options.planning = {run.options.target, run.options.file, {}, run.options.codebooks};
  options.compute = run.options.compute;
  const std::string key =
      stage_key({run.directory.hash(evidence), run.inputs.diagnosis.hash, options.budget, run.inputs.exported_as,
                 run.directory.hash("calibration.safetensors"), std::string(objective_name(run.options.domains)),
                 "by choice"});  // before, matrices that must be alike were exchanged one by one
  run.stage("refine", "refine", key, kRefinement, [&](const std::filesystem::path& path) {
    write_json(path, refinement_to_json(refine(run.model, run.inputs.tokenizer, calibration, run.inputs.diagnosis,
                                               table, options, &run.progress)));
  });
  return {refinement_from_json(read_json(run.directory.path(kRefinement)), kRefinement).table, kRefinement};
}

/// The screen as it is: no factor, nothing measured.
Confirmation unconfirmed(const DamageTable& foretold) {
  Confirmation c;
  c.table = foretold;
  c.complete = false;
  return c;
}

}  // namespace

DamageTable damage_stage(const RunContext& run, const Calibration& calibration) {
  const auto save = [&](const DamageTable& found, const std::string& first_evidence) {
    if (const std::string note = unreached_note(found); !note.empty()) run.progress.warn(note);
    const auto [table, evidence] = refine_stage(run, calibration, found, first_evidence);
    run.stage("plan", "damage",
              stage_key({run.directory.hash(evidence), evidence, std::string(objective_name(run.options.domains))}),
              rounded_damage(run), [&, &table = table](const std::filesystem::path& path) {
                write_json(path, damage_table_to_json(table));
              });
    return table;
  };
  if (run.options.effort == Effort::kExact)
    return save(damage_table(run.model, diagnose_stage(run, calibration)), kDiagnosis);
  const Screen screen = screen_stage(run, calibration);
  const DamageTable foretold = damage_table(run.model, screen, run.options.domains);
  const bool confirms = run.options.effort == Effort::kConfirm;
  Confirmation confirmation = confirms ? confirm_stage(run, calibration, foretold) : unconfirmed(foretold);
  if (confirms && !confirmation.complete)
    run.progress.warn(std::isfinite(confirmation.doubt)
                          ? fmt::format("time was up before the plan was confirmed: {:.2g} nats of doubt are left",
                                        confirmation.doubt)
                          : "time was up before the forecast that the plan rests on was compared with measurements");
  const std::string evidence = confirms ? kConfirmation : kScreen;
  run.stage("plan", "diagnosis", stage_key({run.directory.hash(kScreen), run.directory.hash(evidence)}), kDiagnosis,
            [&](const std::filesystem::path& path) {
              write_json(path, diagnosis_to_json(foretold_diagnosis(run.model, calibration, screen, confirmation,
                                                                    run.options.scheme)));
            });
  return save(confirmation.table, evidence);
}

}  // namespace vernier
