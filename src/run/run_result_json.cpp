#include <cmath>

#include "base/json.h"
#include "evaluate/scores_json.h"
#include "vernier/evaluation_file.h"
#include "vernier/limit.h"
#include "vernier/metric.h"
#include "vernier/run.h"

namespace vernier {

Json run_result_to_json(const RunResult& result) {
  Json rows = Json::array();
  for (const EvaluationRow& r : result.rows) {
    Json row = {{"label", r.label}, {"kind", r.kind}, {"bytes", r.bytes}, {"bits_per_weight", r.bits_per_weight}};
    if (!r.method.empty()) row["method"] = r.method;
    if (r.foretold_kl_nats) row["foretold_kl_nats"] = *r.foretold_kl_nats;
    row["budget_fits"] = r.budget_fits ? Json(*r.budget_fits) : Json();
    for (const Metric& metric : result.of_images ? image_metrics() : metrics()) {
      if (metric.needs_documents()) continue;
      const Measured* value = r.text.find(metric.key);
      const std::string key(metric.key);
      row[key] = value == nullptr ? Json() : finite_or_null(value->mean);
      row[key + "_stderr"] = value == nullptr ? Json() : finite_or_null(value->standard_error);
    }
    for (const auto& [name, scores] : r.groups) row["groups"][name] = scores_to_json(scores);
    if (const auto it = result.limits.find(r.label); it != result.limits.end())
      row["limit"] = limit_shares_to_json(it->second);
    rows.push_back(row);
  }
  return {{"kind", "run_result"},
          {"schema_version", 1},
          {"model", {{"name", result.model_name}, {"hash", result.model_hash}}},
          {"chosen", result.chosen < result.rows.size() ? Json(result.rows[result.chosen].label) : Json()},
          {"files", {{"model", result.files.model.string()}, {"report", result.files.report.string()}}},
          {"rows", rows},
          {"budget_bytes", result.budget_bytes}};
}

}  // namespace vernier
