// What every scheme would do to every matrix, by the evidence that was asked for.

#include <algorithm>
#include <cmath>
#include <string>

#include "base/fail.h"
#include "run/foretold_diagnosis.h"
#include "run/run_stages.h"

namespace vernier {

namespace {

constexpr const char* kScreen = "screen.json";
constexpr const char* kDamage = "damage.json";
constexpr const char* kConfirmation = "work/confirmation.json";
constexpr const char* kDiagnosis = "diagnosis.json";

Screen screen_stage(const RunContext& run, const Calibration& calibration) {
  ScreenOptions options;
  options.schemes = run.target.rules.schemes;
  options.seed = run.options.seed;
  options.compute = run.options.compute;
  options.limit = makes_limit(run);
  std::string key =
      stage_key({run.directory.hash("calibration.safetensors"), run.options.target, run.options.scheme,
                 std::to_string(options.seed), dtype_name(options.compute.type), options.limit ? "limit" : ""});
  if (std::find(options.schemes.begin(), options.schemes.end(), run.options.scheme) == options.schemes.end())
    options.schemes.push_back(run.options.scheme);  // what parts of matrices are shown at
  for (const ScreenText& text : run.inputs.screened) key = stage_key({key, text.name, text.data.hash});
  run.directory.stage("screen", key, kScreen, [&](const std::filesystem::path& path) {
    save_screen(screen(run.model, calibration, run.inputs.screened, options, &run.progress), path);
  });
  return screen_from_json(read_json(run.directory.path(kScreen)), kScreen);
}

Confirmation confirm_stage(const RunContext& run, const Calibration& calibration, const DamageTable& foretold) {
  ConfirmOptions options;
  options.budget = run.options.budget;
  options.planning = {run.options.target, run.options.file};
  options.scheme = run.options.scheme;
  options.seed = run.options.seed;
  options.compute = run.options.compute;
  if (run.options.max_minutes > 0) options.may_go_on = [&](double) { return run.clock.has_time(); };
  const std::string key =
      stage_key({run.directory.hash(kScreen), run.inputs.diagnosis.hash, options.budget, run.inputs.exported_as,
                 options.scheme, fmt::format("{} {}", options.seed, run.options.max_minutes)});
  run.directory.stage("confirm", key, kConfirmation, [&](const std::filesystem::path& path) {
    write_json(path, confirmation_to_json(confirm(run.model, run.inputs.tokenizer, calibration, run.inputs.diagnosis,
                                                  foretold, options, &run.progress)));
  });
  return confirmation_from_json(read_json(run.directory.path(kConfirmation)), kConfirmation);
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
  const auto save = [&](const DamageTable& table, const std::string& evidence) {
    run.directory.stage("damage", stage_key({run.directory.hash(evidence), evidence}), kDamage,
                        [&](const std::filesystem::path& path) { write_json(path, damage_table_to_json(table)); });
    return table;
  };
  if (run.options.effort == Effort::kExact)
    return save(damage_table(run.model, diagnose_stage(run, calibration)), kDiagnosis);
  const Screen screen = screen_stage(run, calibration);
  const DamageTable foretold = damage_table(run.model, screen);
  const bool confirms = run.options.effort == Effort::kConfirm;
  Confirmation confirmation = confirms ? confirm_stage(run, calibration, foretold) : unconfirmed(foretold);
  if (confirms && !confirmation.complete)
    run.progress.warn(std::isfinite(confirmation.doubt)
                          ? fmt::format("time was up before the plan was confirmed: {:.2g} nats of doubt are left",
                                        confirmation.doubt)
                          : "time was up before the forecast that the plan rests on was compared with measurements");
  const std::string evidence = confirms ? kConfirmation : kScreen;
  run.directory.stage("diagnosis", stage_key({run.directory.hash(kScreen), run.directory.hash(evidence)}), kDiagnosis,
                      [&](const std::filesystem::path& path) {
                        write_json(path, diagnosis_to_json(foretold_diagnosis(run.model, calibration, screen,
                                                                              confirmation, run.options.scheme)));
                      });
  return save(confirmation.table, evidence);
}

}  // namespace vernier
