#include "cli/command.h"

#include <fmt/format.h>

#include "base/fail.h"
#include "base/output_file.h"
#include "data/builtin_texts.h"

namespace vernier {

void ComputeArguments::add(CLI::App& app) {
  app.add_option("--dtype", dtype, "Type of the multiplied values; bf16 is faster, its noise hides mild damage")
      ->check(CLI::IsMember({"f32", "bf16"}))
      ->capture_default_str();
  app.add_option("--device", device, "Where to compute: cpu, or cuda (cuda:1 ...) with a libtorch that has it")
      ->capture_default_str();
  ThreadsArgument::add(app);
}

void ThreadsArgument::add(CLI::App& app) {
  app.add_option("--threads", threads, "Sequences in flight; 0: one per core")
      ->check(within(0, 1024))
      ->capture_default_str();
}

ComputeOptions ComputeArguments::options(Console& console) const {
  configure(console);
  return {dtype == "bf16" ? ComputeType::kBFloat16 : ComputeType::kFloat32, threads, device};
}

int ThreadsArgument::configure(Console& console) const {
  if (threads > available_processors())
    console.progress.warn(fmt::format("--threads {}: this process may use {} processors, so {} run", threads,
                                      available_processors(), available_processors()));
  const int resolved = resolve_threads({.threads = threads});
  configure_process(resolved);
  return resolved;
}

void add_export_options(CLI::App& command, ExportOptions& options) {
  command.add_option("--tokenizer-pre", options.tokenizer_pre,
                     "llama.cpp's name of the pre-tokenizer, where it is not found or not the one that is wanted");
  command.add_flag("--tokenizer-pre-unchecked", options.tokenizer_pre_unchecked,
                   "Take that name although it cuts texts unlike the tokenizer");
}

Model open_model(const std::string& name, Console& console) {
  Model model = load_model(name);
  for (const std::string& warning : model.source().warnings) console.progress.warn(warning);
  return model;
}

TokenizerModel open_tokenizer(const Model& model, Console& console) {
  TokenizerModel tokenizer = load_tokenizer_of(model.source().path);
  for (const std::string& warning : tokenizer.warnings) console.progress.warn(warning);
  return tokenizer;
}

TokenizerModel open_tokenizer_for(const Target& target, const Model& model, Console& console) {
  return target.needs_tokenizer ? open_tokenizer(model, console) : TokenizerModel();
}

void add_target(CLI::App& command, std::string& target) {
  std::string rows;
  for (const Target& row : targets()) rows += (rows.empty() ? "" : "; ") + row.name + ": " + row.about;
  command.add_option("--target", target, "Who must load the result. " + rows)->capture_default_str();
}

void DataArguments::add(CLI::App& app, CommandFiles& files, bool with_groups) {
  add_input(app, files, "--data", data, "Text to evaluate on (files are joined); a built-in text when none is named");
  if (with_groups) {
    add_input(app, files, "--groups", groups, "Documents with groups: JSON lines {\"text\": ..., \"group\": ...}");
    app.add_option("--filter", filter, "Keep only documents whose KEY prints as VALUE")->type_name("KEY=VALUE");
  }
  app.add_option("--context", context, "Tokens per window")->check(context_range())->capture_default_str();
  app.add_option("--windows", windows, "Use the first N windows of the text, not of documents; 0: all")
      ->check(count_range())
      ->capture_default_str();
  app.add_option("--score", score,
                 "Score the second half of each window of the text, as llama-perplexity does, or all of it")
      ->check(CLI::IsMember({"half", "all"}))
      ->capture_default_str();
}

WindowOptions DataArguments::options() const { return {context, windows, score == "all"}; }

namespace {

std::pair<std::string, std::string> joined(const std::vector<std::string>& files, Console& console) {
  std::string names, text;
  for (const std::string& file : files) {
    names += (names.empty() ? "" : " + ") + std::filesystem::path(file).filename().string();
    const TextFile part = read_text_file(file);
    if (part.carriage_returns > 0)
      console.progress.warn(
          fmt::format("{}: {} lines end as on Windows (CR LF); they are read as LF, since the model would be scored on "
                      "every CR",
                      file, part.carriage_returns));
    text += part.text;
  }
  return {names, text};
}

/// Copies flatter intervals: they are counted out and told.
EvaluationData told(EvaluationData data, const char* unit, Console& console) {
  if (const int64_t copies = data.duplicates(); copies > 0)
    console.progress.warn(
        fmt::format("{}: {} of {} {} repeat an earlier one; they count in every mean, but standard errors are over the "
                    "distinct ones",
                    data.name, copies, data.clusters.size(), unit));
  return data;
}

EvaluationData calibration_text(const Tokenizer& tokenizer, const std::vector<std::string>& files,
                                const WindowOptions& options, Console& console) {
  if (files.empty())
    return text_windows(tokenizer, "built-in calibration text", std::string(builtin_calibration_text()), options);
  const auto [names, text] = joined(files, console);
  return told(text_windows(tokenizer, names, text, options), "windows", console);
}

}  // namespace

EvaluationData DataArguments::text(const Tokenizer& tokenizer, Console& console) const {
  if (data.empty())
    return text_windows(tokenizer, "built-in evaluation text", std::string(builtin_evaluation_text()), options());
  const auto [names, text] = joined(data, console);
  return told(text_windows(tokenizer, names, text, options()), "windows", console);
}

std::vector<std::string> DataArguments::texts(Console& console) const {
  std::vector<std::string> all;
  if (!data.empty())
    all.push_back(joined(data, console).second);
  else if (groups.empty())
    all.emplace_back(builtin_evaluation_text());
  if (!groups.empty())
    for (Document& document : read_documents(groups, filter)) all.push_back(std::move(document.text));
  return all;
}

std::optional<EvaluationData> DataArguments::documents(const Tokenizer& tokenizer, Console& console) const {
  if (groups.empty() && !filter.empty())
    fail(ErrorKind::kInvalidArgument, "--filter {}: chooses among documents; name them with --groups FILE.jsonl",
         filter);
  if (groups.empty()) return std::nullopt;
  return told(document_windows(tokenizer, std::filesystem::path(groups).filename().string(),
                               read_documents(groups, filter), {context, 0, true}),
              "documents", console);
}

EvaluationData calibration_windows(const Tokenizer& tokenizer, const std::vector<std::string>& files, int64_t context,
                                   int64_t windows, Console& console) {
  return calibration_text(tokenizer, files, {context, windows, true, true}, console);
}

EvaluationData diagnosis_windows(const Tokenizer& tokenizer, const std::vector<std::string>& files, int64_t context,
                                 int64_t windows, Console& console) {
  return calibration_text(tokenizer, files, {context, windows, false, true}, console);
}

void warn_beyond_context(const Model& model, const EvaluationData& data, Console& console) {
  const int64_t limit = model.config().context_length;
  if (data.longest() <= limit) return;
  console.progress.warn(fmt::format(
      "windows of {} tokens, but {} is made for {}: what lies beyond counts as damage whatever its weights; "
      "--context {} leaves it out",
      data.longest(), model.source().name, limit, limit));
}

}  // namespace vernier
