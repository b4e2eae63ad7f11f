#include "evaluate/image_classifier.h"

#include <algorithm>
#include <cmath>

#include "base/fail.h"
#include "ops/parallel.h"
#include "vernier/tokenizer.h"

namespace vernier {

namespace {

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
  const auto text = engine.prepare_answers(stack, {.type = options.compute.type, .positions = longest});
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

/// A classifier, or the stack of CLIP that sees.
Model seeing_model(const Model& model) {
  if (model.config().is_language_model())
    fail(ErrorKind::kUnsupported, "classify: {} is a language model ({}); evaluate measures it on text",
         model.source().name, model.config().family);
  return model.config().stacks.empty() ? model : stack_of(model, Stack::kImage);
}

}  // namespace

ImageClassifier::ImageClassifier(const Model& model, const std::vector<std::string>& classes,
                                 const ClassifyOptions& options, const Engine& engine)
    : name_(model.source().name), classes_(classes.size()), seeing_(seeing_model(model)) {
  if (!model.config().stacks.empty()) vectors_ = text_classifier(model, classes, options, engine);
  eye_ = engine.prepare_answers(seeing_, {.type = options.compute.type});
}

std::vector<float> ImageClassifier::logits(int worker, std::span<const float> pixels) const {
  const std::vector<float> answer = eye_->answer(worker, pixels);
  std::vector<float> logits;
  for (const std::vector<float>& vector : vectors_) {
    double dot = 0;
    for (size_t j = 0; j < vector.size(); ++j) dot += static_cast<double>(vector[j]) * static_cast<double>(answer[j]);
    logits.push_back(static_cast<float>(dot));
  }
  if (vectors_.empty()) logits = answer;
  if (logits.size() != classes_)
    fail(ErrorKind::kInvalidArgument,
         "classify: {} tells {} classes apart, the images have {}; name those of the model", name_, logits.size(),
         classes_);
  return logits;
}

}  // namespace vernier
