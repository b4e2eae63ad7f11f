#include "run/image_rows.h"

#include "base/forwarded_progress.h"
#include "evaluate/image_scores.h"
#include "run/source.h"
#include "vernier/classify.h"
#include "vernier/grouped_answers.h"

namespace vernier {

namespace {

Answers answers_on_images(const RunContext& run, const Model& model, const std::string& label) {
  const RunImages& images = *run.inputs.images;
  NamedProgress named(&run.progress, label);
  return classify_images(model, images.evaluated, {images.prompts, run.options.compute}, &named);
}

Answers answers_of(const RunContext& run, const RunCandidate& candidate) {
  return answers_on_images(run, load_model(output_of(run.target, run.directory.path(candidate.file)).string()),
                           candidate.label);
}

}  // namespace

Evaluation evaluate_on_images(const RunContext& run, const std::vector<RunCandidate>& candidates,
                              std::vector<Evaluation>& files) {
  const RunImages& images = *run.inputs.images;
  const GroupedExamples examples = grouped_examples(images.evaluated);
  const Answers source = answers_on_images(run, run.model, source_label(run.model));
  for (const RunCandidate& candidate : candidates)
    files.push_back(image_evaluation(examples, answers_of(run, candidate), &source, images.evaluation.clusters));
  return image_evaluation(examples, source, nullptr, images.evaluation.clusters);
}

}  // namespace vernier
