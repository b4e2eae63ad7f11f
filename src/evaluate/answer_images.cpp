#include "evaluate/same_classes.h"
#include "vernier/grouped_answers.h"

namespace vernier {

std::vector<GroupedAnswers> answer_images(const Model& reference, const std::vector<const Model*>& models,
                                          const LabelledImages& images, const ClassifyOptions& options,
                                          ProgressSink* progress) {
  for (const Model* model : models) require_same_classes("groups", *model, reference);
  GroupedAnswers answers;
  answers.unit = "image";
  answers.examples = grouped_examples(images);
  ClassifyOptions exact = options;  // the reference's activations are never rounded
  exact.activations = Activations::kExact;
  answers.reference = classify_images(reference, images, exact, progress);
  for (const Model* model : models) {
    answers.models.push_back(classify_images(*model, images, options, progress));
    answers.rescaled.push_back(rescaled_answers(answers.examples, answers.reference, answers.models.back()));
  }
  return {answers};
}

}  // namespace vernier
