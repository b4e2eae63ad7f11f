#pragma once

// The whole chain in one call: calibrate, diagnose, plan, quantize, export, evaluate, report. Every stage leaves its
// artefact in the run directory, and one that is there already is not made again.
// In: a model and RunOptions. Out: a run directory (manifest.json, model.gguf, report.html ...) and a RunResult.
//
//   const RunResult result = run("models/demo-5m", {.budget = "+10%", .output = "out"});
//   print(result.rows[result.chosen].label, result.files.model);

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "vernier/compute.h"
#include "vernier/damage_table.h"
#include "vernier/evaluation_file.h"
#include "vernier/limit.h"
#include "vernier/model.h"
#include "vernier/plan_objective.h"
#include "vernier/progress.h"
#include "vernier/target.h"

namespace vernier {

/// Largest model whose values are searched by "auto" unless a method is named: about 5 CPU seconds for 10^6 weights.
inline constexpr int64_t kSearchedWeights = 50'000'000;

/// What a plan rests on.
enum class Effort {
  kScreen,   ///< what gradients foretell: minutes, and nothing was measured but the result
  kConfirm,  ///< the same, with exact measurements where they decide the plan
  kExact,    ///< every component measured exactly
};

/// "screen", "confirm", "exact".
std::string_view effort_name(Effort effort);
/// @throws Error{kInvalidArgument} that lists them
Effort parse_effort(std::string_view name);

struct RunOptions {
  std::string budget = "+10%";       ///< of the whole file, as plan_within reads it
  std::string target = "llama.cpp";  ///< who loads the file
  std::string scheme = "gguf:q4_k";  ///< of the isolated measurements
  /// How stored values are searched (find_value_search). "": "auto" for models of up to kSearchedWeights weights,
  /// else "importance".
  std::string method{};
  std::filesystem::path output = "out";  ///< the run directory; the same one again goes on where it stopped
  bool codebooks = false;  ///< iq2, iq3 and iq4_xs are candidates too: better plans, several times the time for values
  bool replace = false;    ///< also where the directory holds another model's run
  std::vector<std::string> calibration_text{};  ///< files to calibrate and diagnose on, joined; none: built-in
  int64_t calibration_windows = 0;              ///< evenly spaced over the text, or so many images; 0: all
  Effort effort = Effort::kConfirm;
  /// Damage measured once more around the plan, and the budget spent again where that pays (refine.h).
  bool second_round = false;
  /// The rate-distortion limit also where its eigenvalues take more than about a minute of one core
  /// (limit_core_seconds) or the screened text is short for it (tokens_for_limit). With Effort::kExact there is none.
  bool limit = false;
  /// Of the same text, evenly spaced; 0: all. Several files are a domain each, and so are the built-in texts; they share.
  int64_t screen_windows = 16;
  DomainObjective domains = DomainObjective::kMean;  ///< what a plan makes of their damages
  PlanObjective objective{};                         ///< over the calibration texts as groups
  int64_t diagnose_windows = 16;                     ///< of exact measurements, likewise
  /// Confirming ends early enough for all that follows to be done after so many minutes; 0: no limit. A warning where
  /// even the rest of the run is foretold to take longer.
  double max_minutes = 0;
  std::vector<std::string> evaluation_text{};  ///< files to evaluate on, joined; none: built-in
  int64_t evaluation_windows = 0;  ///< the first ones of the text, not of documents, or so many images; 0: all
  bool score_all = false;          ///< every token of the text instead of the second half of each window
  bool strict = false;             ///< text that calibration and evaluation share is an error, not a warning
  std::string groups{};      ///< JSON lines of documents with groups; none: built-in, unless evaluation_text is named
  std::string filter{};      ///< KEY=VALUE of the documents to keep
  int64_t context = 512;     ///< tokens per window
  ComputeOptions compute{};  ///< the reference is in float32 whatever this says
  ExportOptions file{};      ///< what else is written into the file
  // Of a model that sees, in place of all texts. Its target is one that needs no tokenizer, and plans for groups take
  // Effort::kExact.
  std::string images{};              ///< to evaluate on: a manifest, or a folder of classes (labelled_images.h)
  std::string calibration_images{};  ///< to calibrate and diagnose on; "": a fifth of `images`, which is not evaluated
  std::vector<std::string> classes{};  ///< names by index, where neither model nor images say them in that order
  std::string prompts = "single";      ///< of a model of images and texts, as prompt_templates reads it
  int64_t diagnose_images = 256;       ///< screened and measured on, evenly over the classes; 0: all
  uint64_t seed = 0;                   ///< of the labels that a screen draws and the sample that confirms it
};

/// Paths of the artefacts.
struct RunFiles {
  std::filesystem::path manifest, calibration, diagnosis, plan, model, evaluation, report;
};

/// What a part of a run took.
struct StageTime {
  std::string stage;        ///< "calibrate", "screen", "confirm", "diagnose", "refine", "plan", "export", "evaluate"
  double seconds = 0;       ///< of the clock on the wall
  double cpu_seconds = 0;   ///< of all threads
  uint64_t peak_bytes = 0;  ///< most that was resident since the process began
};

struct RunResult {
  std::string model_name, model_hash;
  std::string budget_text;
  uint64_t budget_bytes = 0;
  std::vector<EvaluationRow> rows;  ///< the reference, uniform files that fit by rising size, llama.cpp's mix, the plan
  bool of_images = false;           ///< measured on images: the rows hold image_metrics()
  size_t chosen = 0;                ///< the row that files.model holds; 0: the source itself, which fits as it is
  /// By label of a row, without the source's; empty without a limit.
  std::map<std::string, LimitShares> limits;
  RunFiles files;
  std::vector<std::string> warnings;  ///< each once, as `progress` heard them
  std::vector<StageTime> stages;      ///< those that ran now, in their order; what was there already is not among them
};

/// A killed run that is started again ends in the same bytes.
/// @cost one sweep (diagnose.h), and for every uniform scheme that fits one quantization and one forward pass per window
/// @throws Error{kInvalidArgument} for options that cannot be meant, too short a text, or a directory of something else;
///         {kInfeasible} with the smallest reachable size, before anything is measured; {kIo} when another process runs
///         in the directory; {kUnsupported, kBadFile} as the stages
RunResult run(const Model& model, const RunOptions& options, ProgressSink* progress = nullptr);
/// The same of what load_model(path) finds.
RunResult run(const std::string& path, const RunOptions& options, ProgressSink* progress = nullptr);

/// budget_bytes and rows: label, kind, bytes, bits_per_weight, method, budget_fits, every metric of the text with its standard
/// error, null where nothing was measured, and the limit with what separates the row from it.
nlohmann::ordered_json run_result_to_json(const RunResult& result);

/// What a run would do, from shapes and from timing a few products.
struct RunForecast {
  struct Stage {
    std::string stage;  ///< as StageTime::stage
    double seconds = 0;
  };
  struct UniformFile {
    std::string label;
    uint64_t bytes = 0;
    double bits_per_weight = 0;
    std::vector<std::string> fallbacks;  ///< as fallback_lines
  };
  uint64_t budget_bytes = 0;
  std::vector<UniformFile> uniform_files;  ///< one per scheme of the target, whether it fits or not
  std::vector<Stage> stages;               ///< by the run's effort, in their order, on a machine as busy as it is now
  double seconds = 0;                      ///< all of them
  uint64_t peak_bytes = 0;                 ///< resident memory that it would take, about
  size_t components = 0;                   ///< what --effort exact would measure
  int64_t diagnose_windows = 0;
  double exact_seconds = 0;  ///< how long that alone would take
  int threads = 0;
  std::vector<std::string> warnings;
};

/// @cost at most a few seconds, whatever the model's size; memory: one layer, packed
/// @throws Error{kInfeasible} with the smallest reachable size; otherwise as run
RunForecast forecast_run(const Model& model, const RunOptions& options, ProgressSink* progress = nullptr);

}  // namespace vernier
