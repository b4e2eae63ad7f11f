#pragma once

// The windows to diagnose on, with groups where the files tell them.

#include <string>
#include <vector>

#include "vernier/data.h"
#include "vernier/progress.h"
#include "vernier/tokenizer.h"

namespace vernier {

/// Documents with groups (one .jsonl file, as read_documents reads it) and texts named NAME=FILE are balanced over their
/// groups: `windows` are shared, at least two each. Other files are one text without groups; none: the built-in one.
/// @throws Error{kInvalidArgument} for a .jsonl file beside others; as calibration_text and read_documents
EvaluationData grouped_diagnosis_windows(const Tokenizer& tokenizer, const std::vector<std::string>& files,
                                         int64_t context, int64_t windows, ProgressSink* progress);

}  // namespace vernier
