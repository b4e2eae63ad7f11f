#include "data/named_texts.h"

#include <fmt/ranges.h>

#include <set>
#include <string>
#include <utility>

#include "base/fail.h"
#include "data/builtin_texts.h"
#include "data/text_kind.h"

namespace vernier {

namespace {

EvaluationData told(EvaluationData data, const char* unit, ProgressSink* progress) {
  warn_of_copies(data, unit, progress);
  return data;
}

/// Each file's own text.
std::vector<std::string> texts_of(const std::vector<std::string>& files, ProgressSink* progress) {
  std::vector<std::string> texts;
  for (const std::string& file : files) {
    TextFile part = read_text_file(file);
    if (part.carriage_returns > 0 && progress != nullptr)
      progress->warn(
          fmt::format("{}: {} lines end as on Windows (CR LF); they are read as LF, since the model would be scored on "
                      "every CR",
                      file, part.carriage_returns));
    if (holds_documents(part.text)) {  // nobody means the braces and escapes
      const std::vector<Document> documents = parse_documents(part.text, file);
      part.text.clear();
      for (const Document& document : documents) part.text += document.text + "\n";
      if (progress != nullptr)
        progress->warn(fmt::format("{}: JSON lines: the texts of its {} documents one after the other, as running text",
                                   file, documents.size()));
    }
    texts.push_back(std::move(part.text));
  }
  return texts;
}

std::string names_of(const std::vector<std::string>& files) {
  std::string names;
  for (const std::string& file : files)
    names += (names.empty() ? "" : " + ") + std::filesystem::path(file).filename().string();
  return names;
}

}  // namespace

NamedText joined_text(const std::vector<std::string>& files, ProgressSink* progress) {
  NamedText joined{names_of(files), ""};
  for (const std::string& text : texts_of(files, progress)) joined.text += text;
  return joined;
}

TokenizedText calibration_text(const Tokenizer& tokenizer, const std::vector<std::string>& files,
                               ProgressSink* progress) {
  std::vector<std::string_view> parts;
  if (files.empty()) {
    for (const BuiltinText& text : builtin_calibration_texts()) parts.push_back(text.text);
    return tokenize_joined(tokenizer, "built-in calibration text", parts);
  }
  const std::vector<std::string> texts = texts_of(files, progress);
  parts.assign(texts.begin(), texts.end());
  return tokenize_joined(tokenizer, names_of(files), parts);
}

EvaluationData calibration_windows(const TokenizedText& text, int64_t context, int64_t windows,
                                   ProgressSink* progress) {
  return told(windows_of(text, {context, windows, true, true}), "windows", progress);
}

EvaluationData diagnosis_windows(const TokenizedText& text, int64_t context, int64_t windows, ProgressSink* progress) {
  return told(windows_of(text, {context, windows, false, true}), "windows", progress);
}

EvaluationData evaluation_windows(const Tokenizer& tokenizer, const std::vector<std::string>& files,
                                  const WindowOptions& options, ProgressSink* progress) {
  if (files.empty())
    return text_windows(tokenizer, "built-in evaluation text", std::string(builtin_evaluation_text()), options);
  const NamedText joined = joined_text(files, progress);
  return told(text_windows(tokenizer, joined.names, joined.text, options), "windows", progress);
}

std::optional<EvaluationData> group_windows(const Tokenizer& tokenizer, const std::string& file,
                                            const std::string& filter, int64_t context, ProgressSink* progress) {
  if (file.empty() && !filter.empty())
    fail(ErrorKind::kInvalidArgument, "--filter {}: chooses among documents; name them with --groups FILE.jsonl",
         filter);
  if (file.empty()) return std::nullopt;
  const std::vector<Document> documents = read_documents(file, filter);
  EvaluationData data =
      document_windows(tokenizer, std::filesystem::path(file).filename().string(), documents, {context, 0, true});
  std::set<std::string> without;  // groups all of whose documents are too short to be scored
  for (const Document& document : documents) without.insert(document.group);
  for (const Cluster& cluster : data.clusters) without.erase(cluster.group);
  if (!without.empty() && progress != nullptr)
    progress->warn(fmt::format("{}: no document of {} has 2 tokens: left out", data.name, fmt::join(without, ", ")));
  return told(std::move(data), "documents", progress);
}

EvaluationData builtin_group_windows(const Tokenizer& tokenizer, int64_t context) {
  return document_windows(tokenizer, "built-in groups", parse_documents(builtin_groups_text(), "built-in groups"),
                          {context, 0, true});
}

void warn_of_copies(const EvaluationData& data, const char* unit, ProgressSink* progress) {
  if (const int64_t copies = data.duplicates(); copies > 0 && progress != nullptr)
    progress->warn(
        fmt::format("{}: {} of {} {} repeat an earlier one; they count in every mean, but standard errors are over the "
                    "distinct ones",
                    data.name, copies, data.clusters.size(), unit));
}

void warn_beyond_context(const EvaluationData& data, int64_t positions, const std::string& model_name,
                         ProgressSink* progress) {
  if (data.longest() <= positions || progress == nullptr) return;
  progress->warn(fmt::format(
      "windows of {} tokens, but {} is made for {}: what lies beyond counts as damage whatever its weights; "
      "--context {} leaves it out",
      data.longest(), model_name, positions, positions));
}

}  // namespace vernier
