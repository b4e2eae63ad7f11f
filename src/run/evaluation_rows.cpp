// evaluation.json of a run: a row per file, and back.

#include <algorithm>
#include <cmath>

#include "base/fail.h"
#include "run/run_stages.h"
#include "run/source.h"
#include "vernier/planning.h"

namespace vernier {

namespace {

/// Several files share a pass with the reference as far as they fit into kModelBytes.
void evaluate_all(const RunContext& run, const std::vector<RunCandidate>& candidates, std::vector<Json>& text,
                  std::vector<Json>& groups) {
  constexpr int64_t kModelBytes = int64_t{4} << 30;
  const int64_t each = 2 * 4 * run.model.parameters();  // decoded and packed, float32
  const auto together = static_cast<size_t>(std::max<int64_t>(1, kModelBytes / each - 1));
  for (size_t first = 0; first < candidates.size(); first += together) {
    std::vector<Model> files;
    std::vector<const Model*> batch;
    for (size_t i = first; i < std::min(candidates.size(), first + together); ++i)
      files.push_back(load_model(run.directory.path(candidates[i].file).string()));
    for (const Model& file : files) batch.push_back(&file);
    const auto add = [&](const EvaluationData& data, std::vector<Json>& results) {
      for (const Evaluation& e : evaluate(batch, &run.model, data, {run.options.compute}, &run.progress))
        results.push_back(evaluation_to_json(e));
    };
    add(run.inputs.text, text);
    if (run.inputs.groups) add(*run.inputs.groups, groups);
  }
}

/// The reference's own figures, which every comparison with it measures.
Json reference_scores(const Json& compared) {
  const double nll = json_number(compared, "reference_nll_nats", "evaluation.json");
  const double error = number_or_nan(compared, "reference_nll_nats_stderr", "evaluation.json");
  return {{"tokens", compared["tokens"]},
          {"nll_nats", nll},
          {"nll_nats_stderr", finite_or_null(error)},
          {"perplexity", std::exp(nll)},
          {"perplexity_stderr", finite_or_null(std::exp(nll) * error)}};
}

Json row_json(const RunContext& run, const std::string& label, const std::string& kind, uint64_t bytes,
              const Json& text, const Json& groups) {
  Json json;
  json["label"] = label;
  json["kind"] = kind;
  json["bytes"] = bytes;
  json["bits_per_weight"] = bits_per_weight(bytes, run.model);
  json["budget_fits"] = bytes <= run.inputs.budget_bytes;
  json["text"] = text;
  json["groups"] = groups;
  return json;
}

EvaluationRow row_from(const Json& json, const std::string& origin) {
  EvaluationRow row;
  row.label = json_string(json, "label", origin);
  row.kind = json_string(json, "kind", origin);
  row.bytes = static_cast<uint64_t>(json_int(json, "bytes", origin, 0, int64_t{1} << 60));
  row.bits_per_weight = json_number(json, "bits_per_weight", origin);
  row.budget_fits = json.value("budget_fits", false);
  const Json* text = json_find(json, "text");
  if (text == nullptr) fail(ErrorKind::kBadFile, "{}: row {}: \"text\" is missing; run again", origin, row.label);
  if (row.kind == "reference") {
    row.text.tokens = json_int(*text, "tokens", origin, 0, int64_t{1} << 50);
    row.text.nll = {json_number(*text, "nll_nats", origin), number_or_nan(*text, "nll_nats_stderr", origin)};
    return row;
  }
  Json evaluation = *text;
  if (const Json* groups = json_find(json, "groups")) evaluation["groups"] = *groups;
  const Evaluation measured = evaluation_from_json(evaluation, origin);
  row.text = measured.all;
  row.groups = measured.groups;
  return row;
}

}  // namespace

std::vector<EvaluationRow> evaluate_stage(const RunContext& run, const std::vector<RunCandidate>& candidates) {
  const RunInputs& inputs = run.inputs;
  const std::string name = "evaluation.json";
  std::string key = stage_key({model_hash(run.model), inputs.text.hash, inputs.groups ? inputs.groups->hash : "",
                               dtype_name(run.options.compute.type)});
  for (const RunCandidate& c : candidates) key = stage_key({key, c.label, run.directory.hash(c.file)});
  run.directory.stage("evaluate", key, name, [&](const std::filesystem::path& path) {
    std::vector<Json> text, groups;
    evaluate_all(run, candidates, text, groups);
    Json rows = Json::array();
    rows.push_back(row_json(run, source_label(run.model), "reference", source_bytes(run.model),
                            reference_scores(text.front()), Json()));
    for (size_t i = 0; i < candidates.size(); ++i)
      rows.push_back(row_json(run, candidates[i].label, candidates[i].kind,
                              std::filesystem::file_size(run.directory.path(candidates[i].file)), text[i],
                              inputs.groups ? groups[i]["groups"] : Json()));
    write_json(path, {{"schema_version", 1}, {"budget_bytes", inputs.budget_bytes}, {"rows", rows}});
  });
  std::vector<EvaluationRow> rows;
  for (const Json& row : read_json(run.directory.path(name))["rows"]) rows.push_back(row_from(row, name));
  return rows;
}

Json run_result_to_json(const RunResult& result) {
  Json rows = Json::array();
  for (const EvaluationRow& r : result.rows) {
    const auto measured = [](Json& json, const std::string& key, const std::optional<Measured>& value) {
      json[key] = value ? finite_or_null(value->mean) : Json();
      json[key + "_stderr"] = value ? finite_or_null(value->standard_error) : Json();
    };
    Json row = {{"label", r.label},
                {"kind", r.kind},
                {"bytes", r.bytes},
                {"bits_per_weight", r.bits_per_weight},
                {"budget_fits", r.budget_fits}};
    measured(row, "perplexity", Measured{r.text.perplexity(), r.text.perplexity_standard_error()});
    measured(row, "kl_nats", r.text.kl);
    measured(row, "same_top_share", r.text.same_top);
    rows.push_back(row);
  }
  return {{"rows", rows}, {"budget_bytes", result.budget_bytes}};
}

}  // namespace vernier
