#include "groups/json_reader.h"
#include "vernier/group_chain.h"
#include "vernier/version.h"

namespace vernier {

namespace {

constexpr int64_t kChainVersion = 1;

Json step_json(const ChainStep& step) {
  return {{"key", step.key},
          {"claim", step.claim},
          {"groups", step.groups},
          {"value", finite_or_null(step.correlation)},
          {"interval", interval_json(step.interval)},
          {"p", finite_or_null(step.p)},
          {"slope", finite_or_null(step.slope)},
          {"slope_interval", interval_json(step.slope_interval)},
          {"r_squared", finite_or_null(step.r_squared)},
          {"verdict", name_of(step.verdict)}};
}

Json record_json(const ChainRecord& record) {
  return {{"group", record.group},
          {"examples", record.examples},
          {"activation_change", finite_or_null(record.activation_change)},
          {"logit_variance_change", finite_or_null(record.logit_variance_change)},
          {"loss_change_nats", finite_or_null(record.loss_change)},
          {"accuracy_change", finite_or_null(record.accuracy_change)},
          {"rescaled_loss_change_nats", finite_or_null(record.rescaled_loss_change)},
          {"gradient_norm", finite_or_null(record.gradient_norm)},
          {"top_eigenvalue", finite_or_null(record.top_eigenvalue)},
          {"foretold_loss_change_nats", finite_or_null(record.foretold_loss_change)},
          {"expanded_loss_change_nats", finite_or_null(record.expanded_loss_change)}};
}

ClaimVerdict read_verdict(const JsonReader& json) {
  const std::string name = json.text("verdict");
  for (const ClaimVerdict known : {ClaimVerdict::kConfirmed, ClaimVerdict::kRefuted, ClaimVerdict::kUndecided})
    if (name_of(known) == name) return known;
  fail(ErrorKind::kBadFile, "{}: verdict \"{}\": expected confirmed, refuted or undecided", json.origin(), name);
}

}  // namespace

nlohmann::ordered_json chain_report_to_json(const ChainReport& report, const std::vector<ChainRecord>& records) {
  Json json = {{"kind", "chain"},
               {"schema_version", kChainVersion},
               {"tool_version", VERNIER_VERSION},
               {"verdict", name_of(report.verdict)},
               {"steps", Json::array()},
               {"groups", Json::array()}};
  for (const ChainStep& step : report.steps) json["steps"].push_back(step_json(step));
  for (const ChainRecord& record : records) json["groups"].push_back(record_json(record));
  return json;
}

ChainReport chain_report_from_json(const nlohmann::ordered_json& json, const std::string& origin) {
  const JsonReader root(json, origin);
  if (root.text("kind") != "chain") fail(ErrorKind::kBadFile, "{}: expected a chain of causes", origin);
  if (const int64_t schema = root.count("schema_version"); schema != kChainVersion)
    fail(ErrorKind::kBadFile, "{}: schema_version {}, expected {}; make it again", origin, schema, kChainVersion);
  ChainReport report;
  report.verdict = read_verdict(root);
  root.at("steps").each([&](const JsonReader& step) {
    report.steps.push_back({step.text("key"), step.text("claim"), step.count("groups"), step.number("value"),
                            step.at("interval").interval(), step.number("p"), step.number("slope"),
                            step.at("slope_interval").interval(), step.number("r_squared"), read_verdict(step)});
  });
  return report;
}

}  // namespace vernier
