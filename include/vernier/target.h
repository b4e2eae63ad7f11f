#pragma once

// Who loads what is written: one row per target. Planning, exporting and the whole chain ask the row, and nothing else
// knows which targets there are.
//
//   const Target& target = find_target("llama.cpp");
//   target.rules.schemes;                                        // what to plan with
//   target.counted_bytes(model, plan, tokenizer_model, {});      // what a budget bounds

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "vernier/model.h"
#include "vernier/plan.h"
#include "vernier/progress.h"
#include "vernier/target_rules.h"
#include "vernier/tokenizer.h"

namespace vernier {

class QuantizedModel;

struct ExportOptions {
  std::string tokenizer_pre;             ///< tokenizer.ggml.pre; "" derives it from the pre-tokenizer's expressions
  bool tokenizer_pre_unchecked = false;  ///< write tokenizer_pre whatever the tokenizer does (check_gguf_pre_name)
};

struct Target {
  std::string name;
  std::string about;  ///< what it writes, one clause
  TargetRules rules;
  /// What "+10%" is over: the smaller of the uniform plans in these.
  std::vector<std::string> four_bit_schemes;

  std::string output;  ///< default name of the file or folder
  /// What it may write into its folder, as CommandFiles::writes_folder; the file with the weights last, which is also
  /// written last. Empty: a single file.
  std::vector<std::string> files{};
  /// Scheme of every matrix in the file, whatever is planned; "": the planned one.
  std::string stored_as{};
  bool needs_tokenizer = true;  ///< else any TokenizerModel will do

  /// The kind of file: what it calls a tensor, and what it holds together as one.
  FileTensor TensorSpec::*file = nullptr;
  /// The longest text, in tokens, for which what is written answers as the model does.
  int64_t (*context_length)(const ModelConfig& config) = nullptr;
  /// What will not be in the file, or not be heeded, a sentence each.
  std::vector<std::string> (*losses)(const Model& model, const TokenizerModel& tokenizer) = nullptr;
  /// Whether the source, copied as it is, is what the target loads.
  bool (*takes_source)(const ModelSource& source) = nullptr;

  using SizeFunction = uint64_t (*)(const Model& model, const Plan& plan, const TokenizerModel& tokenizer,
                                    const ExportOptions& options);
  /// Exact size of all that is written, before anything is quantized.
  /// @throws Error{kUnsupported} when the engine has no place for something the model needs; {kInvalidArgument} for
  ///         schemes and options that it cannot take
  SizeFunction file_bytes = nullptr;
  /// What a budget bounds; the same for engines that compute with the stored bytes. @throws as file_bytes
  SizeFunction counted_bytes = nullptr;
  /// Content hash of all that is written but what the weights decide. @throws as file_bytes
  std::string (*header_hash)(const Model& model, const Plan& plan, const TokenizerModel& tokenizer,
                             const ExportOptions& options) = nullptr;
  /// Whole or not at all. Called by export_model. @throws Error{kUnsupported, kIo, kInvalidArgument}
  void (*write)(const QuantizedModel& quantized, const TokenizerModel& tokenizer, const std::filesystem::path& path,
                const ExportOptions& options, ProgressSink* progress) = nullptr;

  bool is_folder() const { return !files.empty(); }
  /// The file with the weights of an output at `path`.
  std::filesystem::path weights_file(const std::filesystem::path& path) const {
    return is_folder() ? path / files.back() : path;
  }
};

const std::vector<Target>& targets();
/// @throws Error{kUnsupported} for one that is planned but not built, {kInvalidArgument} for an unknown one; both list
///         what exists
const Target& find_target(const std::string& name);

}  // namespace vernier
