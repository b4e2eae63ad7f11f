#include "run/image_rows.h"

#include "evaluate/image_scores.h"
#include "vernier/classify.h"
#include "vernier/grouped_answers.h"

namespace vernier {

namespace {

Answers answers_on_images(const RunContext& run, const Model& model) {
  const RunImages& images = *run.inputs.images;
  return classify_images(model, images.evaluated, {images.prompts, run.options.compute}, &run.progress);
}

Answers answers_of(const RunContext& run, const RunCandidate& candidate) {
  return answers_on_images(run, load_model(output_of(run.target, run.directory.path(candidate.file)).string()));
}

}  // namespace

Evaluation evaluate_on_images(const RunContext& run, const std::vector<RunCandidate>& candidates,
                              std::vector<Evaluation>& files) {
  const RunImages& images = *run.inputs.images;
  const GroupedExamples examples = grouped_examples(images.evaluated);
  const Answers source = answers_on_images(run, run.model);
  for (const RunCandidate& candidate : candidates)
    files.push_back(image_evaluation(examples, answers_of(run, candidate), &source, images.evaluation.clusters));
  return image_evaluation(examples, source, nullptr, images.evaluation.clusters);
}

void groups_stage(const RunContext& run, const RunCandidate& chosen) {
  const RunImages& images = *run.inputs.images;
  run.stage("evaluate", "groups",
            stage_key({images.evaluation.inputs.hash, images.evaluated.hash, run.directory.hash(chosen.file),
                       model_hash(run.model), dtype_name(run.options.compute.type)}),
            "groups.json", [&](const std::filesystem::path& path) {
              const Model file = load_model(output_of(run.target, run.directory.path(chosen.file)).string());
              std::vector<GroupedAnswers> answers = answer_images(run.model, {&file}, images.evaluated,
                                                                  {images.prompts, run.options.compute}, &run.progress);
              for (GroupedAnswers& one : answers) one.examples.clusters = images.evaluation.clusters;
              write_json(path, group_study_to_json(study_groups(answers, {chosen.label}, {})));
            });
}

}  // namespace vernier
