#pragma once

// Texts by the names of their files, or the built-in ones where none is named. What their reader should know about them
// (line ends of Windows, copies) is told to `progress`, which may be nullptr.

#include <optional>
#include <string>
#include <vector>

#include "data/tokenized_text.h"
#include "vernier/data.h"
#include "vernier/progress.h"

namespace vernier {

/// The files joined.
struct NamedText {
  std::string names;  ///< "a.txt + b.txt"
  std::string text;
};
/// @throws Error{kIo, kBadFile} as read_text_file
NamedText joined_text(const std::vector<std::string>& files, ProgressSink* progress);

/// The text to calibrate and diagnose on. @throws as joined_text
TokenizedText calibration_text(const Tokenizer& tokenizer, const std::vector<std::string>& files,
                               ProgressSink* progress);
/// `windows` of it, evenly spaced, 0: all; every token counts. @throws Error{kInvalidArgument} for too short a text
EvaluationData calibration_windows(const TokenizedText& text, int64_t context, int64_t windows, ProgressSink* progress);
/// The same for diagnosis: the second half of each window counts.
EvaluationData diagnosis_windows(const TokenizedText& text, int64_t context, int64_t windows, ProgressSink* progress);

/// The running text to evaluate on. @throws as joined_text and text_windows
EvaluationData evaluation_windows(const Tokenizer& tokenizer, const std::vector<std::string>& files,
                                  const WindowOptions& options, ProgressSink* progress);

/// Documents with groups; nothing where no file is named.
/// @throws Error as read_documents; {kInvalidArgument} for a filter without documents
std::optional<EvaluationData> group_windows(const Tokenizer& tokenizer, const std::string& file,
                                            const std::string& filter, int64_t context, ProgressSink* progress);
/// The built-in ones.
EvaluationData builtin_group_windows(const Tokenizer& tokenizer, int64_t context);

/// Of what repeats an earlier one, in so many of `unit`: copies flatter intervals.
void warn_of_copies(const EvaluationData& data, const char* unit, ProgressSink* progress);
/// Tells of windows that are longer than the positions a model was made for.
void warn_beyond_context(const EvaluationData& data, int64_t positions, const std::string& model_name,
                         ProgressSink* progress);

}  // namespace vernier
