#pragma once

// What a run has read and checked before it measures anything: what cannot be done is said here.

#include <cstdint>
#include <optional>
#include <string>

#include "vernier/data.h"
#include "vernier/model.h"
#include "vernier/progress.h"
#include "vernier/run.h"
#include "vernier/screen.h"
#include "vernier/tokenizer.h"

namespace vernier {

struct RunInputs {
  TokenizerModel tokenizer;
  uint64_t budget_bytes = 0;
  std::string exported_as;  ///< hash of tokenizer and configuration as files hold them
  EvaluationData calibration, diagnosis, text;
  std::vector<ScreenText> screened;  ///< a domain for each file
  std::optional<EvaluationData> groups;
  int64_t shared_runs = 0;  ///< of tokens, between what the plan is made from and what it is judged by
};

/// Tokenizer and budget alone, with what there is to say about them and about the source.
/// @throws Error{kInfeasible, kInvalidArgument, kUnsupported, kBadFile}
RunInputs begin_inputs(const Model& model, const RunOptions& options, ProgressSink& progress);

/// The texts in windows, read once each.
/// @throws Error{kInvalidArgument} for too short a text, windows that the target answers differently, or shared text
///         with RunOptions::strict; {kUnsupported} for what the target cannot hold; {kIo, kBadFile}
void read_texts(const Model& model, const RunOptions& options, RunInputs& inputs, ProgressSink& progress);

}  // namespace vernier
