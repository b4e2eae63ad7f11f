#include "groups/json_reader.h"
#include "vernier/group_study.h"
#include "vernier/version.h"

namespace vernier {

namespace {

constexpr int64_t kStudyVersion = 1;

/// Within a study the parts need no kind and version of their own, but keep them: each can be read alone.
Json entry_json(const GroupStudyEntry& entry) {
  Json json = {{"label", entry.label},
               {"unit", entry.unit},
               {"analysis", group_analysis_to_json(entry.analysis)},
               {"chains", Json::array()}};
  for (const AttributeChain& chain : entry.chains)
    json["chains"].push_back(
        {{"attribute", chain.attribute}, {"chain", chain_report_to_json(chain.report, chain.records)}});
  return json;
}

std::vector<ChainRecord> read_records(const JsonReader& groups) {
  std::vector<ChainRecord> records;
  groups.each([&](const JsonReader& group) {
    records.push_back({group.text("group"), group.count("examples"), group.number("activation_change"),
                       group.number("logit_variance_change"), group.number("loss_change_nats"),
                       group.number("accuracy_change"), group.number("rescaled_loss_change_nats"),
                       group.number("gradient_norm"), group.number("top_eigenvalue"),
                       group.number("foretold_loss_change_nats"), group.number("expanded_loss_change_nats")});
  });
  return records;
}

}  // namespace

nlohmann::ordered_json group_study_to_json(const GroupStudy& study) {
  Json json = {{"kind", "group_study"},
               {"schema_version", kStudyVersion},
               {"tool_version", VERNIER_VERSION},
               {"provenance", study.provenance},
               {"entries", Json::array()}};
  for (const GroupStudyEntry& entry : study.entries) json["entries"].push_back(entry_json(entry));
  return json;
}

GroupStudy group_study_from_json(const nlohmann::ordered_json& json, const std::string& origin) {
  const JsonReader root(json, origin);
  if (root.text("kind") != "group_study")
    fail(ErrorKind::kBadFile, "{}: expected the groups.json of `vernier groups`", origin);
  if (const int64_t schema = root.count("schema_version"); schema != kStudyVersion)
    fail(ErrorKind::kBadFile, "{}: schema_version {}, expected {}; make it again", origin, schema, kStudyVersion);
  GroupStudy study;
  study.provenance = root.at("provenance").json();
  root.at("entries").each([&](const JsonReader& entry) {
    const JsonReader analysis = entry.at("analysis");
    GroupStudyEntry read{
        entry.text("label"), entry.text("unit"), group_analysis_from_json(analysis.json(), analysis.origin()), {}};
    entry.at("chains").each([&](const JsonReader& chain) {
      const JsonReader report = chain.at("chain");
      read.chains.push_back({chain.text("attribute"), read_records(report.at("groups")),
                             chain_report_from_json(report.json(), report.origin())});
    });
    study.entries.push_back(std::move(read));
  });
  return study;
}

}  // namespace vernier
