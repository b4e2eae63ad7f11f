// Labelled images as a model sees them.

#include <algorithm>
#include <map>
#include <span>

#include "base/fail.h"
#include "base/hash.h"
#include "base/output_file.h"
#include "data/image_set.h"
#include "evaluate/model_preprocessor.h"
#include "vernier/classify.h"
#include "vernier/decode_images.h"
#include "vernier/tokenizer.h"

namespace vernier {

namespace {

/// "a photo of a 3." is a prompt that means nothing.
void require_names(const Model& model, const std::vector<std::string>& classes) {
  const auto is_number = [](const std::string& name) {
    return !name.empty() && name.find_first_not_of("0123456789") == std::string::npos;
  };
  if (classes.empty() || !std::all_of(classes.begin(), classes.end(), is_number)) return;
  fail(ErrorKind::kInvalidArgument,
       "data: {} reads its classes as prompts, and these are numbers ({} to {}); name them in their order with "
       "--classes, "
       "or in the labels",
       model.source().name, classes.front(), classes.back());
}

}  // namespace

std::vector<std::vector<int32_t>> class_prompts(const Model& model, const std::vector<std::string>& classes,
                                                const PromptTemplates& prompts) {
  require_names(model, classes);
  const Tokenizer tokenizer(load_tokenizer_of(model.source().path));
  std::vector<std::vector<int32_t>> texts;
  for (const std::string& name : classes)
    for (const std::string& prompt : prompts_of(prompts, name)) texts.push_back(tokenizer.encode(prompt));
  return texts;
}

AnswerData answer_data(const Model& model, const LabelledImages& images, const PromptTemplates& prompts) {
  const ImagePreprocessor preprocessor = preprocessor_of(model);
  AnswerData data;
  data.inputs.name = images.name;
  data.inputs.images = static_cast<int64_t>(images.images.size());
  data.classes = static_cast<int64_t>(images.classes.size());
  std::map<std::string, int64_t> first;  // by content: a copy under another name is a copy
  Hasher hasher;
  hasher.add(read_file(model.source().path / "preprocessor_config.json"));
  for (const LabelledImage& image : images.images) {
    const std::string content = hash_file(image.path);
    hasher.add(content);
    hasher.add(std::to_string(image.label));
    data.labels.push_back(image.label);
    data.groups.push_back(images.classes[static_cast<size_t>(image.label)]);
    data.clusters.push_back(first.try_emplace(content, static_cast<int64_t>(data.clusters.size())).first->second);
  }
  if (!model.config().stacks.empty()) data.inputs.texts = class_prompts(model, images.classes, prompts);
  for (const std::vector<int32_t>& text : data.inputs.texts) hasher.add(std::as_bytes(std::span(text)));
  data.inputs.hash = hasher.hex();
  data.inputs.pixels = [images = images.images, name = images.name, preprocessor](int64_t image) {
    return read_by_line(images[static_cast<size_t>(image)], name, [&](const std::filesystem::path& path) {
      return pixel_values(read_image(path), preprocessor);
    });
  };
  return data;
}

}  // namespace vernier
