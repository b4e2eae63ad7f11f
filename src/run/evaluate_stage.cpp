// evaluation.json of a run: a row per file, and back.

#include <algorithm>

#include "base/forwarded_progress.h"
#include "base/json.h"
#include "run/image_rows.h"
#include "run/run_stages.h"
#include "run/source.h"
#include "vernier/evaluation_file.h"
#include "vernier/planning.h"

namespace vernier {

namespace {

/// Several files share a pass with the reference as far as they fit into kModelBytes.
void evaluate_all(const RunContext& run, const std::vector<RunCandidate>& candidates, std::vector<Evaluation>& text,
                  std::vector<Evaluation>& groups) {
  constexpr int64_t kModelBytes = int64_t{4} << 30;
  const int64_t each = 2 * 4 * run.model.parameters();  // decoded and packed, float32
  const auto together = static_cast<size_t>(std::max<int64_t>(1, kModelBytes / each - 1));
  for (size_t first = 0; first < candidates.size(); first += together) {
    std::vector<Model> files;
    std::vector<const Model*> batch;
    for (size_t i = first; i < std::min(candidates.size(), first + together); ++i)
      files.push_back(load_model(run.directory.path(candidates[i].file).string()));
    for (const Model& file : files) batch.push_back(&file);
    const auto add = [&](const EvaluationData& data, std::vector<Evaluation>& results) {
      NamedProgress named(&run.progress, data.name);
      for (Evaluation& e : evaluate(batch, &run.model, data, {run.options.compute}, &named))
        results.push_back(std::move(e));
    };
    add(run.inputs.text, text);
    if (run.inputs.groups) add(*run.inputs.groups, groups);
  }
}

EvaluationRow row_of(const RunContext& run, const std::string& label, const std::string& kind, uint64_t bytes) {
  return {.label = label,
          .kind = kind,
          .bytes = bytes,
          .bits_per_weight = bits_per_weight(bytes, run.model),
          .budget_fits = bytes <= run.inputs.budget_bytes};
}

}  // namespace

std::vector<EvaluationRow> evaluate_stage(const RunContext& run, const std::vector<RunCandidate>& candidates) {
  const RunInputs& inputs = run.inputs;
  const std::string name = "evaluation.json";
  // Of images what the model sees, and how they are grouped.
  const std::string hash = inputs.images
                               ? stage_key({inputs.images->evaluation.inputs.hash, inputs.images->evaluated.hash})
                               : inputs.text.hash;
  std::string key = stage_key({model_hash(run.model), hash, inputs.groups ? inputs.groups->hash : "",
                               dtype_name(run.options.compute.type), std::to_string(kEvaluationSchema),
                               std::to_string(inputs.budget_bytes)});
  for (const RunCandidate& c : candidates)
    key = stage_key({key, c.label, run.directory.hash(c.file), run.directory.hash(c.plan)});
  run.stage("evaluate", "evaluate", key, name, [&](const std::filesystem::path& path) {
    std::vector<Evaluation> text, groups;
    std::optional<Evaluation> source;
    if (inputs.images)
      source = evaluate_on_images(run, candidates, text);
    else
      evaluate_all(run, candidates, text, groups);
    EvaluationFile file = evaluation_file(text.front(), inputs.groups ? &groups.front() : nullptr);
    file.of_images = inputs.images.has_value();
    file.budget_bytes = inputs.budget_bytes;
    file.rows.push_back(row_of(run, source_label(run.model), "reference", source_bytes(run.model)));
    file.rows.back().text = source ? source->all : scores_of_reference(text.front().all);
    for (size_t i = 0; i < candidates.size(); ++i) {
      const Plan plan = load_plan(run.directory, candidates[i].plan);
      const uint64_t bytes = run.target.counted_bytes(run.model, plan, inputs.tokenizer, run.options.file);
      file.rows.push_back(evaluation_row(row_of(run, candidates[i].label, candidates[i].kind, bytes), text[i],
                                         inputs.groups ? &groups[i] : nullptr));
      file.rows.back().method = plan.method;
      if (candidates[i].foretold) file.rows.back().foretold_kl_nats = plan.predicted_kl_nats;
    }
    write_json(path, evaluation_file_to_json(file));
  });
  return evaluation_file_from_json(read_json(run.directory.path(name)), name).rows;
}

}  // namespace vernier
