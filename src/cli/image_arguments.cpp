#include "cli/image_arguments.h"

#include <fmt/ranges.h>

#include "base/fail.h"
#include "data/image_subset.h"
#include "evaluate/same_classes.h"
#include "vernier/classify.h"
#include "vernier/prompts.h"

namespace vernier {

void ImageArguments::add(CLI::App& app, CommandFiles& files) {
  add_option(app, "--classes", classes, "Names by index, where neither model nor images say them in that order");
  prompts_option = add_option(app, "--prompts", prompts, "Of CLIP: single, best-7, or a file with a template per line")
                       ->capture_default_str();
  files.reads(prompts);
}

void ImageArguments::check(const Model& model, const char* command) const {
  if (prompts_option->count() > 0 && model.config().stacks.empty())
    fail(ErrorKind::kInvalidArgument, "{}: --prompts: {} ({}) reads no prompts; leave them out", command,
         model.source().name, model.config().family);
}

LabelledImages ImageArguments::read(const std::string& path, const Model& model, Console& console) const {
  check(model, "data");
  const std::vector<std::string> own = telling_class_names(model);
  if (!classes.empty() && !own.empty() && classes != own)
    console.progress.warn(fmt::format("--classes takes the place of what {} calls its classes: {}", model.source().name,
                                      fmt::join(own, ", ")));
  LabelledImages images = read_labelled_images(path, classes.empty() ? class_names_of(model) : classes);
  for (const std::string& warning : images.warnings) console.progress.warn(warning);
  return images;
}

AnswerData ImageArguments::data(const std::string& path, int64_t count, const Model& model, Console& console) const {
  return answer_data(model, spread_images(read(path, model, console), count), prompt_templates(prompts));
}

std::string image_set_of(const std::vector<std::string>& data, const Model& model, const char* command) {
  constexpr const char* kWanted =
      "a manifest (CSV: path,label and a column per attribute) or a folder with a subfolder per class";
  if (data.size() != 1)
    fail(ErrorKind::kInvalidArgument, "{}: {} ({}) sees images: expected one --data, {}; got {}", command,
         model.source().name, model.config().family, kWanted, data.size());
  const std::string extension = std::filesystem::path(data.front()).extension().string();
  if ((extension == ".txt" || extension == ".jsonl" || extension == ".md") && !is_image_set(data.front()))
    fail(ErrorKind::kInvalidArgument, "{}: {} ({}) sees images, and {} is text; give --data {}", command,
         model.source().name, model.config().family, data.front(), kWanted);
  return data.front();
}

void require_texts(const std::vector<std::string>& data, const Model& model, const char* command) {
  if (!model.config().is_language_model()) return;
  for (const std::string& path : data)
    if (is_image_set(path))
      fail(ErrorKind::kInvalidArgument,
           "{}: {} ({}) is a language model, and {} names images; give it text, or none for the built-in one", command,
           model.source().name, model.config().family, path);
}

std::string target_for(const CLI::Option& option, const std::string& given, const Model& model) {
  return option.count() > 0 || model.config().is_language_model() ? given : "huggingface";
}

}  // namespace vernier
