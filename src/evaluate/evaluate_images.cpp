#include "vernier/evaluate_images.h"

#include "evaluate/image_scores.h"
#include "evaluate/same_classes.h"

namespace vernier {

std::vector<Evaluation> evaluate_images(const std::vector<const Model*>& models, const Model* reference,
                                        const LabelledImages& images, const ClassifyOptions& options,
                                        ProgressSink* progress) {
  if (reference != nullptr)
    for (const Model* model : models) require_same_classes("evaluate", *model, *reference);
  const GroupedExamples examples = grouped_examples(images);
  const auto evaluation_of = [&](const Answers& answers, const Answers* compared, const Activations& activations) {
    Evaluation one = image_evaluation(examples, answers, compared, examples.clusters);
    one.activations = activations;
    return one;
  };
  ClassifyOptions exact = options;
  exact.activations = Activations::kExact;
  const Answers original = reference == nullptr ? Answers() : classify_images(*reference, images, exact, progress);
  const Answers* compared = reference == nullptr ? nullptr : &original;
  std::vector<Evaluation> evaluations;
  for (const Model* model : models)
    evaluations.push_back(
        evaluation_of(classify_images(*model, images, options, progress), compared, options.activations));
  if (reference != nullptr) evaluations.push_back(evaluation_of(original, nullptr, Activations::kExact));
  return evaluations;
}

}  // namespace vernier
