#include "diagnose/checkpoint.h"

#include <algorithm>

#include "base/fail.h"
#include "base/json.h"
#include "diagnose/diagnosis_json.h"
#include "vernier/version.h"

namespace vernier {

namespace {

constexpr int64_t kCheckpointVersion = 1;

DiagnosisPart part_from_json(const Json& json, const std::string& origin) {
  DiagnosisPart part;
  for (const Json& row : array_at(json, "components", origin)) part.components.push_back(damage_from_json(row, origin));
  for (const Json& row : array_at(json, "weight_facts", origin))
    part.weight_facts.push_back(facts_from_json(row, origin));
  part.control_kl = json_number(json, "control_kl_nats", origin);
  if (json_find(json, "unit_kl_nats") == nullptr) return part;
  for (const Json& row : array_at(json, "unit_kl_nats", origin)) {
    std::vector<double>& own = part.unit_kl.emplace_back();
    for (const Json& value : row) {
      if (!value.is_number()) fail(ErrorKind::kBadFile, "{}: \"unit_kl_nats\": expected arrays of numbers", origin);
      own.push_back(value.get<double>());
    }
  }
  return part;
}

bool is_about(const DiagnosisPart& part, const DiagnosisTask& task, size_t units) {
  if (part.unit_kl.size() != (units > 0 ? task.components.size() : 0)) return false;
  for (const std::vector<double>& own : part.unit_kl)
    if (own.size() != units) return false;
  return std::ranges::equal(part.components, task.components, {}, &ComponentDamage::component) &&
         std::ranges::equal(part.weight_facts, task.matrices, {}, &WeightFacts::tensor);
}

}  // namespace

void SweepCheckpoint::warn(const std::string& message) const {
  if (progress_ != nullptr) progress_->warn(message);
}

std::optional<DiagnosisPart> SweepCheckpoint::load(const DiagnosisTask& task) const {
  if (folder_.empty() || !std::filesystem::exists(file(task.name))) return std::nullopt;
  const std::string origin = file(task.name).string();
  try {
    const Json json = read_json(origin);
    // Named by its folder, so that the parts of one sweep give one warning.
    const int64_t schema = json_int(json, "schema_version", origin, 0, 1 << 20);
    const std::string tool = json_string(json, "tool_version", origin);
    if (schema != kCheckpointVersion || tool != VERNIER_VERSION) {
      warn(
          fmt::format("diagnose: {}: the checkpoint is of schema {} by vernier {}, expected schema {} by {}; measuring "
                      "again",
                      folder_.string(), schema, tool.substr(0, 40), kCheckpointVersion, VERNIER_VERSION));
      return std::nullopt;
    }
    if (json_string(json, "key", origin) != key_) return std::nullopt;
    DiagnosisPart part = part_from_json(json, origin);
    if (!is_about(part, task, units_))
      fail(ErrorKind::kBadFile, "{}: expected {} components and {} matrices of this part, got {} and {} or others",
           origin, task.components.size(), task.matrices.size(), part.components.size(), part.weight_facts.size());
    return part;
  } catch (const Error& e) {
    warn(fmt::format("diagnose: broken checkpoint: {}; measuring {} again", e.what(), task.name));
    return std::nullopt;
  }
}

void SweepCheckpoint::save(const DiagnosisTask& task, const DiagnosisPart& part) const {
  if (folder_.empty()) return;
  Json json = {
      {"schema_version", kCheckpointVersion}, {"tool_version", VERNIER_VERSION}, {"key", key_},
      {"components", Json::array()},          {"weight_facts", Json::array()},   {"control_kl_nats", part.control_kl}};
  for (const ComponentDamage& damage : part.components) json["components"].push_back(damage_to_json(damage));
  for (const WeightFacts& facts : part.weight_facts) json["weight_facts"].push_back(facts_to_json(facts));
  if (!part.unit_kl.empty()) json["unit_kl_nats"] = part.unit_kl;
  write_json(file(task.name), json);
}

}  // namespace vernier
