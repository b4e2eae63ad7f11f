#pragma once

// The stages of a run, each from the artefacts of those before it to its own in the run directory, in a file of its name;
// what a plan rests on (screen, confirmation, second round) is damage_stage.cpp.

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "run/run_clock.h"
#include "run/run_directory.h"
#include "run/run_inputs.h"
#include "vernier/calibrate.h"
#include "vernier/compute.h"
#include "vernier/damage_table.h"
#include "vernier/diagnose.h"
#include "vernier/limit.h"
#include "vernier/plan.h"
#include "vernier/search_effect.h"

namespace vernier {

/// What all stages share.
struct RunContext {
  const Model& model;
  const Target& target;
  const RunOptions& options;
  const RunInputs& inputs;
  RunDirectory& directory;
  ProgressSink& progress;
  RunClock& clock;

  /// RunDirectory::stage, timed as (a part of) `part`.
  void stage(const std::string& part, const std::string& name, const std::string& key, const std::string& artefact,
             const std::function<void(const std::filesystem::path&)>& make, bool folder = false) const {
    const auto timed = [&](const std::filesystem::path& path) {
      clock.run(part, progress, [&] { make(path); });
      release_free_memory();
    };
    directory.stage(name, key, artefact, timed, folder);
  }
};

/// A file that may become the result; names are inside the run directory.
struct RunCandidate {
  std::string label, kind, plan, file;
  bool foretold = false;  ///< whether the plan's predicted KL is of values found as this file's are
};

/// In the run directory.
inline constexpr const char* kDiagnosis = "diagnosis.json";

/// manifest.json's facts: model, texts, options and versions.
void describe_run(const RunContext& run);

Calibration calibrate_stage(const RunContext& run);
/// Every component measured exactly.
Diagnosis diagnose_stage(const RunContext& run, const Calibration& calibration);
/// By the run's effort: rounded_damage(), and a diagnosis.json of what was measured or foretold.
DamageTable damage_stage(const RunContext& run, const Calibration& calibration);
/// The artefact with the damage of rounding: damage.json, unless a search tells what it leaves of that.
const char* rounded_damage(const RunContext& run);
/// What plans are made of.
struct RunDamage {
  DamageTable rounded;   ///< as damage_stage says
  DamageTable searched;  ///< of the values that the plan's search finds: damage.json
  /// The uniform file that is foretold to be best, its values searched as the plan's; nothing where none fits or nothing is
  /// searched. Where the search tells what it leaves, that file is written already.
  std::optional<RunCandidate> uniform;
};
RunDamage search_stage(const RunContext& run, const Calibration& calibration, const DamageTable& rounded);
/// How the values of the plan's file and of the best uniform one are searched, and those of all others beside them: these
/// by importance where that search is one of error feedback, which costs as much for every file.
std::string method_of(const Model& model, const RunOptions& options);
std::string method_beside(const std::string& method);
/// Whether all uniform files that fit are measured, or only those that might be better than the plan.
bool measures_all_files(const Model& model, const RunOptions& options, const RunInputs& inputs);
/// The uniform plans that fit, by rising size, llama.cpp's mix, then the solved one; and the front of all budgets.
std::vector<RunCandidate> plan_stage(const RunContext& run, const RunDamage& damage);
/// A plan under its label, and the file that it will make.
RunCandidate candidate_of(const RunContext& run, const Plan& plan, const std::string& kind);
/// What plans of these damages depend on.
std::string planning_key(const RunContext& run, const std::string& damage, const std::vector<std::string>& methods);
void export_stage(const RunContext& run, const Calibration& calibration, const std::vector<RunCandidate>& candidates);
/// What a candidate's file depends on.
std::string export_key(const RunContext& run, const RunCandidate& candidate);
/// One file. @return what its search left, where it was not written before
std::optional<SearchEffect> export_candidate(const RunContext& run, const Calibration& calibration,
                                             const RunCandidate& candidate);
/// The files as an engine gets them, read back and compared with the source: evaluation.json, a row per candidate after
/// that of the source.
std::vector<EvaluationRow> evaluate_stage(const RunContext& run, const std::vector<RunCandidate>& candidates);
/// groups.json: who pays for the file that was chosen, of every class and every group of a manifest of images.
void groups_stage(const RunContext& run, const RunCandidate& chosen);
/// Whether the run compares its files with the limit of their model: where it was asked for, or is cheap and the text long
/// enough. One that measures everything exactly has no gradients.
bool makes_limit(const Model& model, const RunOptions& options, const RunInputs& inputs);
/// Where it was asked for and the text is short for it.
void warn_of_limit(const RunContext& run);
/// Of screen.json, where the run makes one.
std::optional<Limit> load_limit(const RunContext& run);
/// limit.json: what any code could reach at the sizes of the files and between them; by label what separates each from it.
/// Nothing where the run makes no limit.
std::map<std::string, LimitShares> limit_stage(const RunContext& run, const std::vector<RunCandidate>& candidates,
                                               const std::vector<EvaluationRow>& rows);
/// plan.json and what the target loads; returns their row.
size_t choose_stage(const RunContext& run, const std::vector<RunCandidate>& candidates,
                    const std::vector<EvaluationRow>& rows);
/// The hashes of all artefacts into the manifest, and report.html.
void report_stage(const RunContext& run);

/// The artefact that stands for what the target writes as `name`: its file, or the one with the weights in its folder.
std::string written_as(const Target& target, const std::string& name);
/// What the target writes, of that artefact.
std::filesystem::path output_of(const Target& target, const std::filesystem::path& artefact);
/// The artefact of the result.
std::string chosen_file(const Target& target);

Plan load_plan(const RunDirectory& directory, const std::string& name);
/// "f32" or "bf16", as --dtype says.
std::string dtype_name(ComputeType type);

}  // namespace vernier
