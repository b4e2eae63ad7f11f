#include <ATen/ATen.h>

#include "base/fail.h"
#include "engine/aten_answers.h"
#include "engine/class_vectors.h"
#include "evaluate/model_preprocessor.h"
#include "ops/aten_ops.h"
#include "vernier/curvature.h"
#include "vernier/decode_images.h"

namespace vernier {

namespace {

constexpr int64_t kImagesAtOnce = 32;

/// What images are compared with: classes that a classifier knows itself, or texts.
struct ImageScorer {
  const LabelledImages* images;
  ImagePreprocessor preprocessor;
  at::Tensor prompts;  ///< [classes * templates, time] int64, undefined for a classifier
  int threads;

  at::Tensor pixels(const Model& model, std::span<const int64_t> examples) const {
    std::vector<std::filesystem::path> paths;
    for (const int64_t example : examples) paths.push_back(images->images[static_cast<size_t>(example)].path);
    const std::vector<float> values = load_pixel_values(paths, preprocessor, threads);
    const PatchConfig p = seen(model).config().patches;
    const std::vector<int64_t> shape{static_cast<int64_t>(paths.size()), p.channels, p.image_size, p.image_size};
    if (static_cast<int64_t>(values.size()) != shape[0] * shape[1] * shape[2] * shape[3])
      fail(ErrorKind::kInvalidArgument, "curvature: {} values for {} images: {} takes {} channels of {} x {}",
           values.size(), paths.size(), model.source().name, p.channels, p.image_size, p.image_size);
    return at::tensor(values).view(shape).to(model.weight(model.matrices().front()).options().requires_grad(false));
  }

  Model seen(const Model& model) const { return prompts.defined() ? stack_of(model, Stack::kImage) : model; }

  at::Tensor logits(const Model& model, const at::Tensor& pixels) const {
    if (!prompts.defined()) return classify(model, pixels);
    const ImageTextAnswers answers = compare_images_with_texts(model, pixels, prompts.to(pixels.device()));
    const at::Tensor vectors = class_vectors_of(answers.text_embeds, static_cast<int64_t>(images->classes.size()),
                                                model.weight({TensorRole::kLogitScale}));
    return at::matmul(answers.image_embeds, vectors.t());
  }
};

}  // namespace

LossOfExamples loss_of_images(const Model& model, const LabelledImages& images, const ClassifyOptions& options) {
  if (model.config().is_language_model())
    fail(ErrorKind::kUnsupported, "curvature: {} is a language model ({}) and sees no images", model.source().name,
         model.config().family);
  const bool by_prompts = !model.config().stacks.empty();
  const ImageScorer scorer{
      &images, preprocessor_of(model),
      by_prompts ? padded_texts(class_prompts(model, images.classes, options.prompts)) : at::Tensor(),
      resolve_threads(options.compute)};
  LossOfExamples loss{
      .name = images.name, .count = static_cast<int64_t>(images.images.size()), .at_once = kImagesAtOnce};
  loss.sum = [scorer](const Model& own, std::span<const int64_t> examples) {
    const at::Tensor logits = scorer.logits(own, scorer.pixels(own, examples));
    if (logits.size(1) != static_cast<int64_t>(scorer.images->classes.size()))
      fail(ErrorKind::kInvalidArgument,
           "curvature: {} tells {} classes apart, the images have {}; name those of the model", own.source().name,
           logits.size(1), scorer.images->classes.size());
    std::vector<int64_t> labels;
    for (const int64_t example : examples) labels.push_back(scorer.images->images[static_cast<size_t>(example)].label);
    const at::Tensor wanted = at::tensor(labels, at::kLong).to(logits.device()).unsqueeze(-1);
    return -logits.log_softmax(-1).gather(-1, wanted).sum();
  };
  loss.observe = [scorer](const Model& own, std::span<const int64_t> examples, const auto& visit) {
    const AtenObserver observer = [&](const SiteId& site, const at::Tensor& x) {
      if (site.expert < 0) visit(site, x.reshape({-1, x.size(-1)}));
    };
    const Model sees = scorer.seen(own);
    image_answers(AtenModel(sees, sees.config().patches.rows()), scorer.pixels(own, examples), &observer);
  };
  return loss;
}

}  // namespace vernier
