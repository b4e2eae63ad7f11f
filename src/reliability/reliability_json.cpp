// reliability.json: all rows of all dimensions, every model's value beside its change.

#include <cmath>

#include "base/json.h"
#include "vernier/reliability.h"
#include "vernier/version.h"

namespace vernier {

namespace {

const char* worse_name(Worse worse) {
  return worse == Worse::kHigher ? "higher" : worse == Worse::kLower ? "lower" : "neither";
}

Json interval_ends(const ConfidenceInterval& interval) {
  return Json::array({finite_or_null(interval.low), finite_or_null(interval.high)});
}

Json reliability_row_json(const ReliabilityRow& row) {
  Json models = Json::array();
  for (size_t m = 0; m < row.models.size(); ++m) {
    const ComparedValue& own = row.models[m];
    Json value{{"value", finite_or_null(own.value)}, {"interval", interval_ends(own.interval)}};
    if (m > 0) {
      value["change"] = finite_or_null(own.change);
      value["change_interval"] = interval_ends(own.change_interval);
      value["comparison"] = name_of(compare(own, row.worse));
    }
    models.push_back(std::move(value));
  }
  return {{"key", row.key},
          {"name", row.name},
          {"unit", row.unit},
          {"worse", worse_name(row.worse)},
          {"condition", row.condition},
          {"level", finite_or_null(row.level)},
          {"group", row.group},
          {"detail", row.detail},
          {"models", std::move(models)}};
}

Json diagram_json(const ReliabilityDiagram& diagram) {
  Json bins = Json::array();
  for (const ConfidenceBin& bin : diagram.bins)
    bins.push_back({{"low", finite_or_null(bin.low)},
                    {"high", finite_or_null(bin.high)},
                    {"examples", bin.weight},
                    {"confidence", finite_or_null(bin.confidence)},
                    {"accuracy", finite_or_null(bin.accuracy)}});
  return {{"model", diagram.model}, {"bins", std::move(bins)}};
}

Json claim_json(const ConfidenceClaim& claim) {
  Json cases = Json::array();
  for (const ConfidenceClaim::Case& one : claim.cases)
    cases.push_back({{"model", one.model},
                     {"group", one.group},
                     {"confidence_less_accuracy", finite_or_null(one.before.value)},
                     {"interval", interval_ends(one.before.interval)},
                     {"original", one.under_confident  ? "under-confident"
                                  : one.over_confident ? "over-confident"
                                                       : "undecided"},
                     {"ece", finite_or_null(one.after.value)},
                     {"change", finite_or_null(one.after.change)},
                     {"change_interval", interval_ends(one.after.change_interval)},
                     {"calibration", name_of(one.calibration)}});
  return {{"claim", "quantization improves calibration only where the model was under-confident"},
          {"verdict", name_of(claim.verdict)},
          {"reason", claim.reason},
          {"cases", std::move(cases)}};
}

Json reliability_options_json(const ReliabilityOptions& o) {
  return {{"confidence", o.confidence},
          {"bootstrap_draws", o.bootstrap_draws},
          {"seed", o.seed},
          {"bins", o.bins},
          {"corruptions", o.corruptions},
          {"severities", o.severities},
          {"corruption_images", o.corruption_images},
          {"feature_images", o.feature_images},
          {"control_seeds", o.control_seeds},
          {"attack_radii", o.attack_radii},
          {"attacks", o.attacks},
          {"attack_images", o.attack_images},
          {"attack_steps", o.attack_steps},
          {"attack_restarts", o.attack_restarts},
          {"square_queries", o.square_queries}};
}

}  // namespace

Json reliability_to_json(const Reliability& reliability) {
  Json dimensions = Json::array();
  for (const ReliabilityDimension& dimension : reliability.dimensions) {
    Json rows = Json::array(), diagrams = Json::array(), summary = Json::array();
    for (const ReliabilityRow& row : dimension.rows) rows.push_back(reliability_row_json(row));
    for (const ReliabilityDiagram& diagram : dimension.diagrams) diagrams.push_back(diagram_json(diagram));
    for (const ReliabilityVerdict& verdict : dimension.summary)
      summary.push_back(
          {{"model", verdict.model}, {"comparison", name_of(verdict.comparison)}, {"text", verdict.text}});
    dimensions.push_back({{"key", dimension.key},
                          {"name", dimension.name},
                          {"notes", dimension.notes},
                          {"headline", dimension.headline},
                          {"claim", dimension.claim ? claim_json(*dimension.claim) : Json()},
                          {"summary", std::move(summary)},
                          {"rows", std::move(rows)},
                          {"diagrams", std::move(diagrams)}});
  }
  return {
      {"kind", "reliability"},
      {"schema_version", 1},
      {"tool_version", VERNIER_VERSION},
      {"data", {{"name", reliability.data_name}, {"hash", reliability.data_hash}, {"examples", reliability.examples}}},
      {"model", {{"name", reliability.model_name}, {"hash", reliability.model_hash}}},
      {"models", reliability.models},
      {"options", reliability_options_json(reliability.options)},
      {"dimensions", std::move(dimensions)}};
}

}  // namespace vernier
