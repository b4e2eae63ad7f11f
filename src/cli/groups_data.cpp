#include "cli/groups_data.h"
#include "cli/given_options.h"

#include <algorithm>
#include <filesystem>
#include <iterator>

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

/// FILE, or that of NAME=FILE.
std::string file_of(const std::string& argument) {
  const size_t sign = std::filesystem::exists(argument) ? std::string::npos : argument.find('=');
  return sign == std::string::npos ? argument : argument.substr(sign + 1);
}

/// Arguments that are answered together.
struct DataPart {
  TextKind kind;
  std::vector<std::string> arguments;
};

/// Running texts are one part, wherever they stand; every other file is one of its own.
std::vector<DataPart> parts_of(const std::vector<std::string>& data) {
  std::vector<DataPart> parts;
  for (const std::string& argument : data) {
    const TextKind kind = kind_of_text(file_of(argument));
    const auto texts =
        std::find_if(parts.begin(), parts.end(), [](const DataPart& part) { return part.kind == TextKind::kRunning; });
    if (kind == TextKind::kRunning && texts != parts.end())
      texts->arguments.push_back(argument);
    else
      parts.push_back({kind, {argument}});
  }
  return parts;
}

}  // namespace

void GroupDataArgument::add(CLI::App& app, CommandFiles& files) {
  command_ = &app;
  add_option(
      app, "--data", data,
      "Of models that see a manifest (CSV: path, label and a column per attribute) or a folder of classes. Of language "
      "models JSON lines with text and group, questions as HellaSwag or ARC have them, pairs of sentences (CSV as "
      "CrowS-Pairs), texts as NAME=FILE, or several of these; built-in documents when none is named");
  files.reads_named(data);
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
  images.add(app, files);
}

void GroupDataArgument::check_options(const Model& model) const {
  const std::string& name = model.source().name;
  if (model.config().is_language_model())
    refuse_image_options("groups", *command_, name);
  else
    refuse_text_options(
        "groups", *command_,
        {"--group-key", "--filter", "--context", "--windows", "--score", "--shots", "--different-tokenizers"}, name);
}

bool GroupDataArgument::has_several_forms() const { return parts_of(data).size() > 1; }

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
  if (data.empty())
    return of_documents(builtin_group_windows(tokenizer, context), reference, models, options, source, console);
  const std::vector<DataPart> parts = parts_of(data);
  const auto is_documents = [](const DataPart& part) { return part.kind == TextKind::kDocuments; };
  if (!filter.empty() && std::none_of(parts.begin(), parts.end(), is_documents))
    fail(ErrorKind::kInvalidArgument, "groups: --filter {}: chooses among documents, JSON lines with text", filter);
  std::vector<GroupedAnswers> all;
  for (const DataPart& part : parts) {
    std::vector<GroupedAnswers> own =
        of_text(part.kind, part.arguments, tokenizer, reference, models, options, source, console);
    std::move(own.begin(), own.end(), std::back_inserter(all));
  }
  if (parts.size() > 1) source = {};
  return all;
}

std::vector<GroupedAnswers> GroupDataArgument::of_text(TextKind kind, const std::vector<std::string>& arguments,
                                                       const Tokenizer& tokenizer, const Model& reference,
                                                       const std::vector<const Model*>& models,
                                                       const EvaluateOptions& options, GroupedSource& source,
                                                       Console& console) const {
  const std::string file = file_of(arguments.front()), name = file_name(file);
  switch (kind) {
    case TextKind::kChoices: {
      const std::vector<ChoiceItem> items = read_choices(file, group_key);
      const ScoredTexts texts = choice_texts(tokenizer, name, items, {context, shots});
      return answer_choices(reference, models, items, texts, options, &console.progress);
    }
    case TextKind::kPairs: {
      const std::vector<SentencePair> pairs = read_sentence_pairs(file);
      return answer_pairs(reference, models, pairs, pair_texts(tokenizer, name, pairs), options, &console.progress);
    }
    case TextKind::kDocuments:
      return of_documents(
          document_windows(tokenizer, name, read_documents(file, filter, group_key), {context, 0, true}), reference,
          models, options, source, console);
    case TextKind::kRunning: break;
  }
  return of_documents(running_texts(tokenizer, arguments, console), reference, models, options, source, console);
}

std::vector<GroupedAnswers> GroupDataArgument::of_documents(EvaluationData documents, const Model& reference,
                                                            const std::vector<const Model*>& models,
                                                            const EvaluateOptions& options, GroupedSource& source,
                                                            Console& console) const {
  warn_beyond_context(reference, documents, console);
  warn_of_copies(documents, "texts", &console.progress);
  source.windows = std::make_shared<EvaluationData>(std::move(documents));
  return answer_documents(reference, models, *source.windows, options, &console.progress);
}

std::vector<GroupedAnswers> GroupDataArgument::of_images(const Model& reference,
                                                         const std::vector<const Model*>& models,
                                                         const EvaluateOptions& options, GroupedSource& source,
                                                         Console& console) const {
  source.images =
      std::make_shared<LabelledImages>(images.read(image_set_of(data, reference, "groups"), reference, console));
  return answer_images(reference, models, *source.images,
                       {prompt_templates(images.prompts), options.compute, options.activations, options.ranges},
                       &console.progress);
}

EvaluationData GroupDataArgument::running_texts(const Tokenizer& tokenizer, const std::vector<std::string>& arguments,
                                                Console& console) const {
  std::vector<EvaluationData> parts;
  for (const TextDomain& domain : text_domains(tokenizer, arguments, &console.progress)) {
    parts.push_back(windows_of(domain.text, {context, windows, score == "all"}));
    for (Cluster& cluster : parts.back().clusters) cluster.group = domain.name;
  }
  return joined_windows(parts);
}

}  // namespace vernier
