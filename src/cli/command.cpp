#include "cli/command.h"

#include <fmt/format.h>

#include "data/builtin_texts.h"
#include "data/named_texts.h"
#include "model/language_model.h"

namespace vernier {

void ComputeArguments::add(CLI::App& app) {
  add_on_cpu(app);
  add_option(app, "--device", device, "Where to compute: cpu, or cuda (cuda:1 ...) with a libtorch that has it")
      ->capture_default_str();
}

void ComputeArguments::add_on_cpu(CLI::App& app) {
  add_option(app, "--dtype", dtype, "Type of the multiplied values; bf16 is faster, its noise hides mild damage")
      ->check(CLI::IsMember({"f32", "bf16"}))
      ->capture_default_str();
  ThreadsArgument::add(app);
}

void ThreadsArgument::add(CLI::App& app) {
  add_option(app, "--threads", threads, "Sequences in flight; 0: one per core")
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
  add_option(command, "--tokenizer-pre", options.tokenizer_pre,
             "llama.cpp's name of the pre-tokenizer, where it is not found or not the one that is wanted");
  add_flag(command, "--tokenizer-pre-unchecked", options.tokenizer_pre_unchecked,
           "Take that name although it cuts texts unlike the tokenizer");
}

Model open_model(const std::string& name, Console& console) {
  Model model = load_model(name);
  for (const std::string& warning : model.source().warnings) console.progress.warn(warning);
  return model;
}

TokenizerModel open_tokenizer(const Model& model, Console& console) {
  require_language_model(model.config(), model.source().name, "tokenizer");
  TokenizerModel tokenizer = load_tokenizer_of(model.source().path);
  for (const std::string& warning : tokenizer.warnings) console.progress.warn(warning);
  return tokenizer;
}

TokenizerModel open_tokenizer_for(const Target& target, const Model& model, Console& console) {
  return target.needs_tokenizer ? open_tokenizer(model, console) : TokenizerModel();
}

CLI::Option* add_objective(CLI::App& command, std::string& objective) {
  return add_option(
             command, "--objective", objective,
             "What the plan makes least: mean, worst-group, weighted (groups by size) or weighted:GROUP=WEIGHT,...")
      ->capture_default_str();
}

CLI::Option* add_target(CLI::App& command, std::string& target) {
  std::string rows;
  for (const Target& row : targets()) rows += (rows.empty() ? "" : "; ") + row.name + ": " + row.about;
  return add_option(command, "--target", target, "Who must load the result. " + rows)->capture_default_str();
}

void DataArguments::add(CLI::App& app, CommandFiles& files, const std::string& of_images) {
  files.reads(data);
  add_option(
      app, "--data", data,
      "Text to evaluate on (files are joined); a built-in one where neither it nor --groups is named" + of_images)
      ->check(CLI::ExistingPath);
  add_input(app, files, "--groups", groups, "Documents with groups: JSON lines {\"text\": ..., \"group\": ...}");
  add_option(app, "--filter", filter, "Keep only documents whose KEY prints as VALUE")->type_name("KEY=VALUE");
  add_option(app, "--context", context, "Tokens per window")->check(context_range())->capture_default_str();
  add_option(app, "--windows", windows, "Use the first N windows of the text, not of documents; 0: all")
      ->check(count_range())
      ->capture_default_str();
  add_option(app, "--score", score,
             "Score the second half of each window of the text, as llama-perplexity does, or all of it")
      ->check(CLI::IsMember({"half", "all"}))
      ->capture_default_str();
}

WindowOptions DataArguments::options() const { return {context, windows, score == "all"}; }

EvaluationData DataArguments::text(const Tokenizer& tokenizer, Console& console) const {
  return evaluation_windows(tokenizer, data, options(), &console.progress);
}

std::vector<std::string> DataArguments::texts(Console& console) const {
  std::vector<std::string> all;
  if (!data.empty())
    all.push_back(joined_text(data, &console.progress).text);
  else if (groups.empty())
    all.emplace_back(builtin_evaluation_text());
  if (!groups.empty())
    for (Document& document : read_documents(groups, filter)) all.push_back(std::move(document.text));
  return all;
}

std::optional<EvaluationData> DataArguments::documents(const Tokenizer& tokenizer, Console& console) const {
  return group_windows(tokenizer, groups, filter, context, &console.progress);
}

void warn_beyond_context(const Model& model, const EvaluationData& data, Console& console) {
  warn_beyond_context(data, model.config().context_length, model.source().name, &console.progress);
}

}  // namespace vernier
