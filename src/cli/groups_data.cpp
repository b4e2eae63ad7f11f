#include "cli/groups_data.h"

#include <filesystem>

#include "base/fail.h"
#include "data/builtin_texts.h"
#include "data/named_texts.h"
#include "data/text_domains.h"
#include "data/text_kind.h"
#include "vernier/data.h"
#include "vernier/prompts.h"

namespace vernier {

namespace {

std::string file_name(const std::string& path) { return std::filesystem::path(path).filename().string(); }

/// One argument that is a file under that very name, not NAME=FILE.
bool is_single_file(const std::vector<std::string>& data) {
  return data.size() == 1 && std::filesystem::is_regular_file(data.front());
}

}  // namespace

void GroupDataArgument::add(CLI::App& app, CommandFiles& files) {
  add_option(
      app, "--data", data,
      "Of models that see a manifest (CSV: path, label and a column per attribute) or a folder of classes. Of language "
      "models JSON lines with text and group, questions as HellaSwag or ARC have them, pairs of sentences (CSV as "
      "CrowS-Pairs), or several texts as NAME=FILE; built-in documents when none is named");
  files.reads(data);
  add_option(app, "--group-key", group_key, "Where JSON lines say their group")->capture_default_str();
  add_option(app, "--filter", filter, "Keep only documents whose KEY prints as VALUE")->type_name("KEY=VALUE");
  add_option(app, "--context", context, "Tokens per window")->check(context_range())->capture_default_str();
  add_option(app, "--windows", windows, "Use the first N windows of each text; 0: all")
      ->check(count_range())
      ->capture_default_str();
  add_option(app, "--score", score, "Score the second half of each window of a text, or all of it")
      ->check(CLI::IsMember({"half", "all"}))
      ->capture_default_str();
  add_option(app, "--shots", shots, "Solved questions in front of each one")
      ->check(within(0, 1000))
      ->capture_default_str();
  add_option(app, "--classes", classes,
             "Of images: names by index, where neither model nor data say them in that order");
  add_option(app, "--prompts", prompts, "Of CLIP: single, best-7, or a file with a template per line")
      ->capture_default_str();
}

std::vector<std::string> GroupDataArgument::texts() const {
  if (data.empty()) return {std::string(builtin_groups_text())};
  std::vector<std::string> texts;
  for (const DomainFiles& domain : domains_of(data))
    for (const std::string& file : domain.files) texts.push_back(read_text_file(file).text);
  return texts;
}

std::vector<GroupedAnswers> GroupDataArgument::answers(const Model& reference, const std::vector<const Model*>& models,
                                                       const EvaluateOptions& options, GroupedSource& source,
                                                       Console& console) const {
  if (!reference.config().is_language_model()) return of_images(reference, models, options, source, console);
  const Tokenizer tokenizer(open_tokenizer(reference, console));
  const auto of_documents = [&](EvaluationData documents) {
    warn_beyond_context(reference, documents, console);
    source.windows = std::make_shared<EvaluationData>(std::move(documents));
    return answer_documents(reference, models, *source.windows, options, &console.progress);
  };
  if (data.empty()) return of_documents(builtin_group_windows(tokenizer, context));
  const TextKind kind = is_single_file(data) ? kind_of_text(data.front()) : TextKind::kRunning;
  if (kind != TextKind::kDocuments && !filter.empty())
    fail(ErrorKind::kInvalidArgument, "groups: --filter {}: chooses among documents, JSON lines with text", filter);
  const std::string name = file_name(data.front());
  switch (kind) {
    case TextKind::kDocuments:
      return of_documents(
          document_windows(tokenizer, name, read_documents(data.front(), filter, group_key), {context, 0, true}));
    case TextKind::kChoices: {
      const std::vector<ChoiceItem> items = read_choices(data.front(), group_key);
      const ScoredTexts texts = choice_texts(tokenizer, name, items, {context, shots});
      return answer_choices(reference, models, items, texts, options, &console.progress);
    }
    case TextKind::kPairs: {
      const std::vector<SentencePair> pairs = read_sentence_pairs(data.front());
      return answer_pairs(reference, models, pairs, pair_texts(tokenizer, name, pairs), options, &console.progress);
    }
    case TextKind::kRunning: break;
  }
  return of_documents(running_texts(tokenizer, console));
}

std::vector<GroupedAnswers> GroupDataArgument::of_images(const Model& reference,
                                                         const std::vector<const Model*>& models,
                                                         const EvaluateOptions& options, GroupedSource& source,
                                                         Console& console) const {
  if (data.size() != 1)
    fail(ErrorKind::kInvalidArgument,
         "groups: {} sees images: expected one --data, a manifest or a folder of classes, got {}",
         reference.source().name, data.size());
  const std::vector<std::string> names = classes.empty() ? class_names_of(reference) : classes;
  source.images = std::make_shared<LabelledImages>(std::filesystem::is_directory(data.front())
                                                       ? read_image_folder(data.front(), names)
                                                       : read_manifest(data.front(), names));
  for (const std::string& warning : source.images->warnings) console.progress.warn(warning);
  return answer_images(reference, models, *source.images,
                       {prompt_templates(prompts), options.compute, options.activations, options.ranges},
                       &console.progress);
}

EvaluationData GroupDataArgument::running_texts(const Tokenizer& tokenizer, Console& console) const {
  std::vector<EvaluationData> parts;
  for (const TextDomain& domain : text_domains(tokenizer, data, &console.progress)) {
    parts.push_back(windows_of(domain.text, {context, windows, score == "all"}));
    for (Cluster& cluster : parts.back().clusters) cluster.group = domain.name;
  }
  return joined_windows(parts);
}

}  // namespace vernier
