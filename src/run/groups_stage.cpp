#include "run/run_stages.h"
#include "vernier/classify.h"
#include "vernier/grouped_answers.h"

namespace vernier {

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
