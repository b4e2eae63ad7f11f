#include "vernier/classify.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "base/fail.h"
#include "base/json.h"
#include "engine/engine.h"
#include "ops/parallel.h"
#include "vernier/decode_images.h"
#include "vernier/tokenizer.h"

namespace vernier {

namespace {

constexpr size_t kBatch = 512;  // images whose pixels are in memory at once

/// Of the sites of one stack, named as stack_of names them.
ActivationRanges ranges_of(const ActivationRanges& ranges, Stack stack) {
  ActivationRanges own;
  for (const auto& [site, range] : ranges)
    if (site.stack == stack) own[{site.site, site.layer, site.expert}] = range;
  return own;
}

/// Unit vectors of the classes times e^logit_scale, [classes][width].
std::vector<std::vector<float>> text_classifier(const Model& model, const std::vector<std::string>& classes,
                                                const ClassifyOptions& options, const Engine& engine) {
  const Tokenizer tokenizer(load_tokenizer_of(model.source().path));
  std::vector<std::vector<int32_t>> prompts;
  int64_t longest = 1;
  for (const std::string& name : classes)
    for (const std::string& prompt : prompts_of(options.prompts, name)) {
      prompts.push_back(tokenizer.encode(prompt));
      longest = std::max(longest, static_cast<int64_t>(prompts.back().size()));
    }
  const Model stack = stack_of(model, Stack::kText);
  const auto text = engine.prepare_answers(stack, {.type = options.compute.type,
                                                   .positions = longest,
                                                   .activations = options.activations,
                                                   .ranges = ranges_of(options.ranges, Stack::kText)});
  std::vector<std::vector<float>> units(prompts.size());
  parallel_for(static_cast<int64_t>(prompts.size()), engine.workers(), [&](int64_t i, int worker) {
    units[static_cast<size_t>(i)] = text->answer(worker, std::span<const int32_t>(prompts[static_cast<size_t>(i)]));
  });
  const double scale = std::exp(model.weight({TensorRole::kLogitScale}).to(at::kDouble).item<double>());
  const size_t each = options.prompts.templates.size(), width = units.front().size();
  std::vector<std::vector<float>> vectors;
  for (size_t c = 0; c < classes.size(); ++c) {
    std::vector<double> mean(width, 0.0);
    for (size_t t = 0; t < each; ++t)
      for (size_t j = 0; j < width; ++j) mean[j] += static_cast<double>(units[c * each + t][j]);
    double squares = 0;
    for (const double value : mean) squares += value * value;
    std::vector<float>& vector = vectors.emplace_back();
    for (const double value : mean) vector.push_back(static_cast<float>(scale * value / std::sqrt(squares)));
  }
  return vectors;
}

std::vector<float> logits_of(const std::vector<float>& answer, const std::vector<std::vector<float>>& classes) {
  if (classes.empty()) return answer;
  std::vector<float> logits;
  for (const std::vector<float>& vector : classes) {
    double dot = 0;
    for (size_t j = 0; j < vector.size(); ++j) dot += static_cast<double>(vector[j]) * static_cast<double>(answer[j]);
    logits.push_back(static_cast<float>(dot));
  }
  return logits;
}

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
  const ModelConfig& config = model.config();
  if (config.is_language_model())
    fail(ErrorKind::kUnsupported, "classify: {} is a language model ({}); evaluate measures it on text",
         model.source().name, config.family);
  const ImagePreprocessor preprocessor = load_image_preprocessor(model.source().path);
  const std::unique_ptr<Engine> engine = make_engine(options.compute);
  const bool by_prompts = !config.stacks.empty();
  const std::vector<std::vector<float>> vectors =
      by_prompts ? text_classifier(model, images.classes, options, *engine) : std::vector<std::vector<float>>{};
  const Model seeing = by_prompts ? stack_of(model, Stack::kImage) : model;
  const auto eye =
      engine->prepare_answers(seeing, {.type = options.compute.type,
                                       .activations = options.activations,
                                       .ranges = ranges_of(options.ranges, by_prompts ? Stack::kImage : Stack::kOnly)});

  const size_t classes = images.classes.size(), count = images.images.size();
  std::vector<float> logits(count * classes);
  if (progress != nullptr) progress->begin("classify", static_cast<int64_t>(count), "images");
  for (size_t first = 0; first < count; first += kBatch) {
    const size_t some = std::min(kBatch, count - first);
    std::vector<std::filesystem::path> paths;
    for (size_t i = 0; i < some; ++i) paths.push_back(images.images[first + i].path);
    const std::vector<float> pixels = load_pixel_values(paths, preprocessor, resolve_threads(options.compute));
    const size_t each = pixels.size() / some;
    parallel_for(static_cast<int64_t>(some), engine->workers(), [&](int64_t i, int worker) {
      const auto at = static_cast<size_t>(i);
      const std::vector<float> own =
          logits_of(eye->answer(worker, std::span(pixels).subspan(at * each, each)), vectors);
      if (own.size() != classes)
        fail(ErrorKind::kInvalidArgument,
             "classify: {} tells {} classes apart, the images have {}; name those of the model", model.source().name,
             own.size(), classes);
      std::copy(own.begin(), own.end(), logits.begin() + static_cast<int64_t>((first + at) * classes));
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
  for (const std::string& attribute : images.attributes)
    if (attribute != "class") examples.attributes.push_back({attribute, {}});
  for (const LabelledImage& image : images.images) {
    examples.labels.push_back(image.label);
    examples.attributes.front().values.push_back(images.classes[static_cast<size_t>(image.label)]);
    size_t out = 1;
    for (size_t a = 0; a < images.attributes.size(); ++a)
      if (images.attributes[a] != "class") examples.attributes[out++].values.push_back(image.groups[a]);
  }
  return examples;
}

}  // namespace vernier
