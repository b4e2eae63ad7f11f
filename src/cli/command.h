#pragma once

// What subcommands that run a model share: threads and types, text data, and opening models.

#include <optional>
#include <string>
#include <vector>

#include "cli/console.h"
#include "vernier/compute.h"
#include "vernier/data.h"
#include "vernier/model.h"
#include "vernier/target.h"
#include "vernier/tokenizer.h"

namespace vernier {

/// --threads.
struct ThreadsArgument {
  int threads = 0;
  void add(CLI::App& app);
  /// What the process is set up for: the wanted number, or one per core.
  int configure(Console& console) const;
};

/// --dtype, --device and --threads.
struct ComputeArguments : ThreadsArgument {
  std::string dtype = "f32", device = "cpu";
  void add(CLI::App& app);
  /// Without --device, for what computes on the CPU alone.
  void add_on_cpu(CLI::App& app);
  ComputeOptions options(Console& console) const;
};

/// --tokenizer-pre and --tokenizer-pre-unchecked.
void add_export_options(CLI::App& command, ExportOptions& options);

/// The model, with what its loader has to say passed on.
Model open_model(const std::string& name, Console& console);
TokenizerModel open_tokenizer(const Model& model, Console& console);
/// An empty one where the target needs none.
TokenizerModel open_tokenizer_for(const Target& target, const Model& model, Console& console);

/// --target.
CLI::Option* add_target(CLI::App& command, std::string& target);

/// --objective of a plan, as PlanObjective::parse reads it.
CLI::Option* add_objective(CLI::App& command, std::string& objective);

/// --data, --groups, --filter, --context, --windows, --score.
struct DataArguments {
  std::vector<std::string> data;
  std::string groups;
  std::string filter;
  int64_t context = 512;
  int64_t windows = 0;
  std::string score = "half";
  /// `of_images`: what --data is for a model that sees, where the command takes one.
  void add(CLI::App& app, CommandFiles& files, const std::string& of_images = "");

  WindowOptions options() const;
  /// The running text: the files joined, or the built-in evaluation text.
  EvaluationData text(const Tokenizer& tokenizer, Console& console) const;
  /// All that text() and documents() read, as it stands in the files.
  std::vector<std::string> texts(Console& console) const;
  /// The documents with groups, when any were named.
  std::optional<EvaluationData> documents(const Tokenizer& tokenizer, Console& console) const;
};

/// Warns of windows that are longer than what the model was made for.
void warn_beyond_context(const Model& model, const EvaluationData& data, Console& console);

}  // namespace vernier
