#include "vernier/classify.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "base/fail.h"
#include "base/json.h"
#include "data/image_set.h"
#include "engine/engine.h"
#include "evaluate/image_classifier.h"
#include "evaluate/model_preprocessor.h"
#include "ops/parallel.h"
#include "vernier/decode_images.h"

namespace vernier {

namespace {

constexpr size_t kBatch = 512;  // images whose pixels are in memory at once

}  // namespace

std::vector<std::string> class_names_of(const Model& model) {
  const std::filesystem::path path = std::filesystem::path(model.source().path) / "config.json";
  if (!model.config().stacks.empty() || !std::filesystem::exists(path)) return {};
  const Json config = read_json(path);
  const Json* labels = json_find(config, "id2label");
  if (labels == nullptr || !labels->is_object()) return {};
  std::vector<std::string> names(labels->size());
  for (size_t i = 0; i < names.size(); ++i) {
    const Json* name = json_find(*labels, std::to_string(i).c_str());
    if (name == nullptr || !name->is_string())
      fail(ErrorKind::kBadFile, "classify: {}: id2label has no name for class {} of {}", path.string(), i,
           names.size());
    names[i] = name->get<std::string>();
  }
  return names;
}

Answers classify_images(const Model& model, const LabelledImages& images, const ClassifyOptions& options,
                        ProgressSink* progress) {
  const std::unique_ptr<Engine> engine = make_engine(options.compute);
  const ImageClassifier classifier(model, images.classes, options, *engine);
  const ImagePreprocessor preprocessor = preprocessor_of(model);

  const size_t classes = images.classes.size(), count = images.images.size();
  const size_t together = engine->inputs_at_once(classifier.seeing().config().patches.rows());
  std::vector<float> logits(count * classes);
  if (progress != nullptr) progress->begin("classify", static_cast<int64_t>(count), "images");
  for (size_t first = 0; first < count; first += kBatch) {
    const size_t some = std::min(kBatch, count - first);
    std::vector<std::filesystem::path> paths;
    for (size_t i = 0; i < some; ++i) paths.push_back(images.images[first + i].path);
    const std::vector<float> pixels = load_pixel_values(paths, preprocessor, resolve_threads(options.compute));
    const size_t each = pixels.size() / some;
    parallel_for(static_cast<int64_t>((some + together - 1) / together), engine->workers(), [&](int64_t i, int worker) {
      const size_t begin = static_cast<size_t>(i) * together, end = std::min(begin + together, some);
      std::vector<std::vector<float>> own;
      for (size_t at = begin; at < end; ++at) {
        const auto from = pixels.begin() + static_cast<int64_t>(at * each);
        own.emplace_back(from, from + static_cast<int64_t>(each));
      }
      auto out = logits.begin() + static_cast<int64_t>((first + begin) * classes);
      for (const std::vector<float>& image : classifier.logits(worker, own))
        out = std::copy(image.begin(), image.end(), out);
    });
    if (progress != nullptr) progress->update(static_cast<int64_t>(first + some));
  }
  if (progress != nullptr) progress->end();
  std::vector<int32_t> labels;
  for (const LabelledImage& image : images.images) labels.push_back(image.label);
  return answers_of_logits(model.source().name, logits, static_cast<int64_t>(classes), labels);
}

GroupedExamples grouped_examples(const LabelledImages& images) {
  GroupedExamples examples{.name = images.name,
                           .hash = images.hash,
                           .count = static_cast<int64_t>(images.images.size()),
                           .classes = static_cast<int64_t>(images.classes.size())};
  examples.attributes.push_back({"class", {}});
  std::vector<size_t> told_apart;  // columns that say something else than the class, under whatever name
  for (size_t a = 0; a < images.attributes.size(); ++a) {
    const bool repeats = std::all_of(images.images.begin(), images.images.end(), [&](const LabelledImage& image) {
      return image.groups[a] == images.classes[static_cast<size_t>(image.label)];
    });
    if (images.attributes[a] == "class" || repeats) continue;
    told_apart.push_back(a);
    examples.attributes.push_back({images.attributes[a], {}});
  }
  std::map<std::string, int64_t> first;  // by content: copies are no evidence of their own
  for (const LabelledImage& image : images.images) {
    const auto cluster = static_cast<int64_t>(examples.clusters.size());
    examples.clusters.push_back(first.try_emplace(hash_of_image(image.path), cluster).first->second);
    examples.labels.push_back(image.label);
    examples.attributes.front().values.push_back(images.classes[static_cast<size_t>(image.label)]);
    for (size_t i = 0; i < told_apart.size(); ++i)
      examples.attributes[i + 1].values.push_back(image.groups[told_apart[i]]);
  }
  return examples;
}

}  // namespace vernier
