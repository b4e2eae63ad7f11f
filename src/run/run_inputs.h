#pragma once

// What a run has read and checked before it measures anything: what cannot be done is said here.

#include <cstdint>
#include <optional>
#include <string>

#include "vernier/data.h"
#include "vernier/labelled_images.h"
#include "vernier/model.h"
#include "vernier/progress.h"
#include "vernier/prompts.h"
#include "vernier/run.h"
#include "vernier/screen.h"
#include "vernier/tokenizer.h"
#include "vernier/vision_inputs.h"

namespace vernier {

/// Of a model that sees.
struct RunImages {
  LabelledImages evaluated;
  AnswerData evaluation;  ///< the same, as the model sees them
  AnswerData calibration, diagnosis;
  int64_t held_back = 0;  ///< images of the evaluated set that the plan is made from, and that are not evaluated
  PromptTemplates prompts;
};

struct RunInputs {
  TokenizerModel tokenizer;
  uint64_t budget_bytes = 0;
  std::string exported_as;  ///< hash of tokenizer and configuration as files hold them
  EvaluationData calibration, diagnosis, text;
  std::vector<ScreenText> screened;  ///< a domain for each file
  std::optional<EvaluationData> groups;
  std::optional<RunImages> images;  ///< in place of all texts
  int64_t shared_runs = 0;  ///< of tokens, or images, between what the plan is made from and what it is judged by
};

/// Tokenizer and budget alone, with what there is to say about them and about the source.
/// @throws Error{kInfeasible, kInvalidArgument, kUnsupported, kBadFile}
RunInputs begin_inputs(const Model& model, const RunOptions& options, ProgressSink& progress);

/// The texts in windows.
/// @throws Error{kInvalidArgument} for too short a text, windows that the target answers differently, or shared text
///         with RunOptions::strict; {kUnsupported} for what the target cannot hold; {kIo, kBadFile}
void read_texts(const Model& model, const RunOptions& options, RunInputs& inputs, ProgressSink& progress);

/// The labelled images of a model that sees.
/// @throws Error{kInvalidArgument} for no images, too few to hold some back, images shared by both parts with
///         RunOptions::strict; {kIo, kBadFile} by file and line
void read_images(const Model& model, const RunOptions& options, RunInputs& inputs, ProgressSink& progress);

/// Whichever the model is measured on.
void read_data(const Model& model, const RunOptions& options, RunInputs& inputs, ProgressSink& progress);

}  // namespace vernier
