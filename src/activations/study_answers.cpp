// Activations of models that see: of a classifier, or of one tower of CLIP, which is shown images or the classes' prompts.

#include <numeric>

#include "activations/activation_study.h"
#include "base/fail.h"
#include "engine/class_vectors.h"
#include "evaluate/image_scores.h"
#include "ops/parallel.h"
#include "ops/site_rounding.h"

namespace vernier {

namespace {

using Sites = std::shared_ptr<const RoundedSites>;

/// Logits of a model's classes by image, with the inputs of one of its stacks rounded.
class RoundedClasses {
 public:
  RoundedClasses(const Model& model, Stack rounded, const AnswerData& data, const ComputeOptions& compute)
      : model_(model),
        rounded_(rounded),
        data_(data),
        type_(compute.type),
        engine_(make_engine(compute)),
        seeing_(rounded == Stack::kOnly ? model : stack_of(model, Stack::kImage)),
        images_(answers_of(seeing_, {})) {
    if (rounded == Stack::kOnly) return;
    reading_ = stack_of(model, Stack::kText);
    vectors_ = vectors_of({});
  }

  /// [images][classes]
  std::vector<float> logits(const Sites& sites) const {
    if (rounded_ == Stack::kText) return products(images_, vectors_of(sites));
    return products(sites == nullptr ? images_ : answers_of(seeing_, sites), vectors_);
  }

 private:
  std::vector<std::vector<float>> answers_of(const Model& stack, const Sites& sites) const {
    const VisionInputs& inputs = data_.inputs;
    PrepareOptions options{.type = type_, .sites = sites};
    for (const std::vector<int32_t>& text : inputs.texts)
      options.positions = std::max(options.positions, static_cast<int64_t>(text.size()));
    const auto ready = engine_->prepare_answers(stack, options);
    const bool sees = stack.config().reads_images();
    std::vector<std::vector<float>> answers(sees ? static_cast<size_t>(inputs.images) : inputs.texts.size());
    parallel_for(static_cast<int64_t>(answers.size()), engine_->workers(), [&](int64_t i, int worker) {
      const auto place = static_cast<size_t>(i);
      if (sees) {
        const std::vector<float> pixels = inputs.pixels(i);
        answers[place] = ready->answer(worker, std::span(pixels));
      } else {
        answers[place] = ready->answer(worker, std::span(inputs.texts[place]));
      }
    });
    return answers;
  }

  std::vector<std::vector<double>> vectors_of(const Sites& sites) const {
    return class_vectors(model_, answers_of(*reading_, sites), static_cast<size_t>(data_.classes));
  }

  /// What images answer is a class' logit of a classifier, and of CLIP a vector that those of the classes meet.
  static std::vector<float> products(const std::vector<std::vector<float>>& images,
                                     const std::vector<std::vector<double>>& classes) {
    std::vector<float> logits;
    for (const std::vector<float>& image : images) {
      if (classes.empty()) logits.insert(logits.end(), image.begin(), image.end());
      for (const std::vector<double>& vector : classes)
        logits.push_back(static_cast<float>(std::inner_product(vector.begin(), vector.end(), image.begin(), 0.0)));
    }
    return logits;
  }

  const Model& model_;
  Stack rounded_;
  const AnswerData& data_;
  ComputeType type_;
  std::unique_ptr<Engine> engine_;
  Model seeing_;
  std::optional<Model> reading_;
  std::vector<std::vector<float>> images_;    // as the exact model answers
  std::vector<std::vector<double>> vectors_;  // of the exact model's classes; none of a classifier
};

std::vector<Measured> divergences(const Model& model, Stack rounded, const AnswerData& data,
                                  const std::vector<Sites>& candidates, const ComputeOptions& compute,
                                  ProgressSink* progress) {
  if (progress != nullptr)
    progress->begin("activations: KL", static_cast<int64_t>(candidates.size()) + 1, "passes over all inputs");
  const RoundedClasses classes(model, rounded, data, compute);
  const GroupedExamples examples{.name = data.inputs.name,
                                 .hash = data.inputs.hash,
                                 .count = data.inputs.images,
                                 .classes = data.classes,
                                 .labels = data.labels};
  std::vector<int64_t> clusters = data.clusters;
  if (clusters.empty()) {
    clusters.resize(static_cast<size_t>(data.inputs.images));
    std::iota(clusters.begin(), clusters.end(), 0);
  }
  const auto answers_of = [&](const Sites& sites) {
    return answers_of_logits(model.source().name, classes.logits(sites), data.classes, data.labels);
  };
  const Answers exact = answers_of(nullptr);
  std::vector<Measured> kl;
  for (const Sites& sites : candidates) {
    if (progress != nullptr) progress->update(static_cast<int64_t>(kl.size()) + 1);
    kl.push_back(image_evaluation(examples, answers_of(sites), &exact, clusters).all.kl());
  }
  if (progress != nullptr) progress->end();
  return kl;
}

}  // namespace

ActivationStudy study_activations(const Model& model, const AnswerData& calibration, const AnswerData& data,
                                  const ActivationStudyOptions& options, ProgressSink* progress) {
  if (model.config().is_language_model())
    fail(ErrorKind::kInvalidArgument, "activations: {} ({}) sees no images; show it text", model.source().name,
         model.config().family);
  if (!options.caches.empty())
    fail(ErrorKind::kInvalidArgument, "activations: {} ({}) keeps no attention cache; leave formats of it out",
         model.source().name, model.config().family);
  const Stack rounded = model.config().stacks.empty() ? Stack::kOnly : options.tower;
  const Model stack = rounded == Stack::kOnly ? model : stack_of(model, rounded);
  const auto kl = [&](const std::vector<Sites>& candidates) {
    return divergences(model, rounded, data, candidates, options.compute, progress);
  };
  ActivationStudy study = study_inputs(stack, *answered_inputs(stack.config(), calibration.inputs),
                                       *answered_inputs(stack.config(), data.inputs), kl, options, progress);
  study.model_name = model.source().name;
  study.model_hash = model_hash(model);
  study.inputs = rounded == Stack::kText ? "prompt" : "image";
  study.images = data.inputs.images;
  return study;
}

}  // namespace vernier
