#pragma once

// What subcommands share: where output goes, the options that several have, and how text data is named.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/progress.h"
#include "base/terminal.h"
#include "cli/command_files.h"
#include "vernier/compute.h"
#include "vernier/data.h"
#include "vernier/model.h"
#include "vernier/tokenizer.h"

namespace vernier {

/// Result on stdout, progress on stderr.
struct Console {
  std::FILE* out = stdout;
  ConsoleProgress progress{stderr};
  /// Terminal columns that tables may take; 0 for files and pipes.
  size_t width() const { return static_cast<size_t>(terminal_width(out)); }
};

/// --threads.
struct ThreadsArgument {
  int threads = 0;
  void add(CLI::App& app);
  /// What the process is set up for: the wanted number, or one per core.
  int configure(Console& console) const;
};

/// --dtype and --threads.
struct ComputeArguments : ThreadsArgument {
  std::string dtype = "f32";
  void add(CLI::App& app);
  ComputeOptions options(Console& console) const;
};

/// --json [FILE]: the result for machines, on stdout when no file is named.
struct JsonArgument {
  std::string file;
  CLI::Option* option = nullptr;
  void add(CLI::App& app, CommandFiles& files);
  /// Writes `json` where asked; true when stdout took it, so that no table should follow.
  bool write(const Json& json, Console& console) const;
};

/// MODEL.
void add_model(CLI::App& command, CommandFiles& files, std::string& model);
/// An option that names a file, or several, to read; they must be there.
CLI::Option* add_input(CLI::App& command, CommandFiles& files, const std::string& name, std::string& path,
                       const std::string& help);
CLI::Option* add_input(CLI::App& command, CommandFiles& files, const std::string& name, std::vector<std::string>& paths,
                       const std::string& help);
/// An option that names a file to write.
CLI::Option* add_output(CLI::App& command, CommandFiles& files, const std::string& name, std::string& path,
                        const std::string& help);

/// The model, with what its loader has to say passed on.
Model open_model(const std::string& name, Console& console);
TokenizerModel open_tokenizer(const Model& model, Console& console);

/// Bounds that an error names, but not the help, where they would hide what an option is for.
inline CLI::Validator within(int64_t least, int64_t most) { return CLI::Range(least, most).description(""); }
/// For counts of windows and rows; 0 means all.
inline CLI::Validator count_range() { return within(0, int64_t{1} << 40); }
inline CLI::Validator context_range() { return within(8, int64_t{1} << 24); }

/// --data, --groups, --filter, --context, --windows, --score.
struct DataArguments {
  std::vector<std::string> data;
  std::string groups;
  std::string filter;
  int64_t context = 512;
  int64_t windows = 0;
  std::string score = "half";
  void add(CLI::App& app, CommandFiles& files, bool with_groups);

  WindowOptions options() const;
  /// The running text: the files joined, or the built-in evaluation text.
  EvaluationData text(const Tokenizer& tokenizer, Console& console) const;
  /// The documents with groups, when any were named.
  std::optional<EvaluationData> documents(const Tokenizer& tokenizer, Console& console) const;
};

/// Text for calibration: the files joined, or the built-in text; every token counts.
EvaluationData calibration_windows(const Tokenizer& tokenizer, const std::vector<std::string>& files, int64_t context,
                                   int64_t windows, Console& console);

/// The same text for diagnosis: the second half of each window counts.
EvaluationData diagnosis_windows(const Tokenizer& tokenizer, const std::vector<std::string>& files, int64_t context,
                                 int64_t windows, Console& console);

/// Warns of windows that are longer than what the model was made for.
void warn_beyond_context(const Model& model, const EvaluationData& data, Console& console);

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
