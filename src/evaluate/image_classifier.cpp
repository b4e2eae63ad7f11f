#include "evaluate/image_classifier.h"

#include <algorithm>

#include "base/fail.h"
#include "engine/class_vectors.h"
#include "engine/rounded_inputs.h"
#include "ops/parallel.h"

namespace vernier {

namespace {

Activations activations_of(const ClassifyOptions& options, Stack stack) {
  const bool spared = stack != Stack::kOnly && options.rounded && *options.rounded != stack;
  return spared ? Activations::kExact : options.activations;
}

/// Unit vectors of the classes times e^logit_scale, [classes][width].
std::vector<std::vector<float>> text_classifier(const Model& model, const std::vector<std::string>& classes,
                                                const ClassifyOptions& options, const Engine& engine) {
  const std::vector<std::vector<int32_t>> prompts = class_prompts(model, classes, options.prompts);
  int64_t longest = 1;
  for (const std::vector<int32_t>& prompt : prompts) longest = std::max(longest, static_cast<int64_t>(prompt.size()));
  const Model stack = stack_of(model, Stack::kText);
  const auto text = engine.prepare_answers(stack, {.type = options.compute.type,
                                                   .positions = longest,
                                                   .activations = activations_of(options, Stack::kText),
                                                   .ranges = ranges_of_stack(options.ranges, Stack::kText)});
  std::vector<std::vector<float>> units(prompts.size());
  parallel_for(static_cast<int64_t>(prompts.size()), engine.workers(), [&](int64_t i, int worker) {
    units[static_cast<size_t>(i)] = text->answer(worker, std::span<const int32_t>(prompts[static_cast<size_t>(i)]));
  });
  std::vector<std::vector<float>> vectors;
  for (const std::vector<double>& vector : class_vectors(model, units, classes.size()))
    vectors.emplace_back(vector.begin(), vector.end());
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
  if (options.activations == Activations::kLlamaCpp)
    fail(ErrorKind::kInvalidArgument,
         "classify: activations as llama.cpp rounds them: {} sees images, and llama.cpp reads GGUF files of language "
         "models; int8:token is close",
         name_);
  if (!model.config().stacks.empty()) vectors_ = text_classifier(model, classes, options, engine);
  const Stack stack = model.config().stacks.empty() ? Stack::kOnly : Stack::kImage;
  prepared_ = {.type = options.compute.type,
               .activations = activations_of(options, stack),
               .ranges = ranges_of_stack(options.ranges, stack)};
  eye_ = engine.prepare_answers(seeing_, prepared_);
}

std::vector<float> ImageClassifier::logits(int worker, std::span<const float> pixels) const {
  return logits_of(eye_->answer(worker, pixels));
}

std::vector<std::vector<float>> ImageClassifier::logits(int worker, std::span<const std::vector<float>> images) const {
  std::vector<ModelInput> inputs;
  for (const std::vector<float>& pixels : images) inputs.emplace_back(std::span<const float>(pixels));
  std::vector<std::vector<float>> result;
  for (const std::vector<float>& answer : eye_->answers(worker, inputs)) result.push_back(logits_of(answer));
  return result;
}

std::vector<float> ImageClassifier::logits_of(const std::vector<float>& answer) const {
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
