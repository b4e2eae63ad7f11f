#pragma once

// What subcommands share: where output goes, the options that several have, and how text data is named.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/progress.h"
#include "vernier/compute.h"
#include "vernier/data.h"
#include "vernier/model.h"
#include "vernier/tokenizer.h"

namespace vernier {

/// Result on stdout, progress on stderr.
struct Console {
  std::FILE* out = stdout;
  ConsoleProgress progress{stderr};
  bool quiet = false;
};

/// --threads.
struct ThreadsArgument {
  int threads = 0;
  void add(CLI::App& app);
  /// What the process is set up for: the wanted number, or one per core.
  int configure() const;
};

/// --dtype and --threads.
struct ComputeArguments : ThreadsArgument {
  std::string dtype = "f32";
  void add(CLI::App& app);
  ComputeOptions options() const;
};

/// --json [FILE]: the result for machines, on stdout when no file is named.
struct JsonArgument {
  std::vector<std::string> value;
  CLI::Option* option = nullptr;
  void add(CLI::App& app);
  /// Writes `json` where asked; true when stdout took it, so that no table should follow.
  bool write(const Json& json, Console& console) const;
};

/// For counts of windows and rows; 0 means all.
inline CLI::Range count_range() { return CLI::Range(int64_t{0}, int64_t{1} << 40); }

/// --data, --groups, --filter, --context, --windows, --score.
struct DataArguments {
  std::vector<std::string> data;
  std::string groups;
  std::string filter;
  int64_t context = 512;
  int64_t windows = 0;
  std::string score = "half";
  void add(CLI::App& app, bool with_groups);

  WindowOptions options() const;
  /// The running text: the files joined, or the built-in evaluation text.
  EvaluationData text(const Tokenizer& tokenizer) const;
  /// The documents with groups, when any were named.
  std::optional<EvaluationData> documents(const Tokenizer& tokenizer) const;
};

/// Text for calibration: the files joined, or the built-in text; every token counts.
EvaluationData calibration_windows(const Tokenizer& tokenizer, const std::vector<std::string>& files, int64_t context,
                                   int64_t windows);

/// The same text for diagnosis: the second half of each window counts.
EvaluationData diagnosis_windows(const Tokenizer& tokenizer, const std::vector<std::string>& files, int64_t context,
                                 int64_t windows);

/// A file that an earlier stage wrote and --json-less users pass on.
Json read_artefact(const std::string& path, const char* stage);

// One per subcommand: declares it and what it does.
void add_run(CLI::App& app, Console& console);
void add_inspect(CLI::App& app, Console& console);
void add_doctor(CLI::App& app, Console& console);
void add_calibrate(CLI::App& app, Console& console);
void add_diagnose(CLI::App& app, Console& console);
void add_plan(CLI::App& app, Console& console);
void add_quantize(CLI::App& app, Console& console);
void add_export(CLI::App& app, Console& console);
void add_evaluate(CLI::App& app, Console& console);
void add_report(CLI::App& app, Console& console);
void add_logits(CLI::App& app, Console& console);
void add_tokenize(CLI::App& app, Console& console);

}  // namespace vernier
