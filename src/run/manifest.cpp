// What manifest.json says beside the stages.

#include "ops/torch_version.h"
#include "run/run_stages.h"
#include "vernier/version.h"

namespace vernier {

namespace {

Json image_facts(const AnswerData& data) {
  return {{"name", data.inputs.name},
          {"images", data.inputs.images},
          {"classes", data.classes},
          {"hash", data.inputs.hash}};
}

/// In place of what is said of texts.
void describe_images(const RunImages& images, const RunOptions& options, Json& facts) {
  facts["calibration"] = image_facts(images.calibration);
  facts["calibration"]["held_back"] = images.held_back;
  facts["evaluation"] = image_facts(images.evaluation);
  facts["options"]["diagnose_images"] = images.diagnosis.inputs.images;
  facts["options"]["prompts"] = options.prompts;
}

}  // namespace

void describe_run(const RunContext& run) {
  const ModelConfig& whole = run.model.config();
  const ModelConfig& c = whole.stacks.empty() ? whole : *whole.find_stack(Stack::kImage);
  const RunOptions& o = run.options;
  const RunInputs& inputs = run.inputs;
  const auto data_facts = [](const EvaluationData& d) {
    return Json{{"name", d.name},
                {"tokens", d.scored_tokens()},
                {"windows", d.windows.size()},
                {"context", d.context},
                {"hash", d.hash}};
  };
  Json& facts = run.directory.facts();
  facts["tool_version"] = VERNIER_VERSION;
  facts["libtorch"] = torch_version();
  facts["model"] = {{"name", run.model.source().name},
                    {"hash", model_hash(run.model)},
                    {"family", whole.family},
                    {"parameters", run.model.parameters()},
                    {"layers", c.depth()},
                    {"heads", c.layer(0).attention.heads},
                    {"kv_heads", c.layer(0).attention.kv_heads},
                    {"hidden", c.hidden},
                    {"vocabulary", c.vocabulary}};
  facts["calibration"] = data_facts(inputs.calibration);
  facts["evaluation"] = data_facts(inputs.text);
  facts["groups"] = inputs.groups ? data_facts(*inputs.groups) : Json();
  facts["shared_token_runs"] = inputs.shared_runs;
  facts["options"] = {{"budget", o.budget},
                      {"target", o.target},
                      {"scheme", o.scheme},
                      {"method", method_of(run.model, o)},
                      {"codebooks", o.codebooks},
                      {"dtype", dtype_name(o.compute.type)},
                      {"context", o.context},
                      {"score", o.score_all ? "all" : "half"},
                      {"windows", o.evaluation_windows},
                      {"calibration_windows", inputs.calibration.windows.size()},
                      {"effort", effort_name(o.effort)},
                      {"max_minutes", o.max_minutes},
                      {"limit", makes_limit(run.model, o, inputs)},
                      {"screen_windows", o.screen_windows},
                      {"over_domains", objective_name(o.domains)},
                      {"diagnose_windows", inputs.diagnosis.windows.size()},
                      {"filter", o.filter},
                      {"tokenizer_pre", o.file.tokenizer_pre},
                      {"tokenizer_pre_unchecked", o.file.tokenizer_pre_unchecked},
                      {"strict", o.strict}};
  if (o.second_round) facts["options"]["second_round"] = true;
  if (o.objective.kind != PlanObjective::Kind::kMean) facts["options"]["objective"] = o.objective.text();
  facts["seed"] = o.seed;
  if (inputs.images) describe_images(*inputs.images, o, facts);
}

}  // namespace vernier
