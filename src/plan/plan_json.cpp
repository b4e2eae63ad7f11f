#include <cmath>
#include <limits>
#include <set>

#include "base/fail.h"
#include "base/from_file.h"
#include "base/json.h"
#include "plan/choice_class.h"
#include "vernier/plan.h"
#include "vernier/scheme.h"

namespace vernier {
namespace {

constexpr int64_t kMaxExactInteger = int64_t{1} << 53;  // what a JSON number holds exactly in every reader
constexpr size_t kMaxTextBytes = 4096;
constexpr size_t kMaxEntries = 1'000'000;

/// Names and sentences end in recipes and on terminals: no control characters, no endless text.
std::string plain_text(const Json& object, const char* key, const std::string& origin) {
  std::string text = json_string(object, key, origin);
  if (text.size() > kMaxTextBytes)
    fail(ErrorKind::kBadFile, "{}: key \"{}\": text of {} bytes", origin, key, text.size());
  for (const unsigned char c : text)
    if (c < 0x20 || c == 0x7f)
      fail(ErrorKind::kBadFile, "{}: key \"{}\": control character {}", origin, key, static_cast<int>(c));
  return text;
}

std::string nonempty_text(const Json& object, const char* key, const std::string& origin) {
  std::string text = plain_text(object, key, origin);
  if (text.empty()) fail(ErrorKind::kBadFile, "{}: key \"{}\": expected a name, got nothing", origin, key);
  return text;
}

double non_negative(const Json& object, const char* key, const std::string& origin) {
  const double value = json_number(object, key, origin);
  if (!(value >= 0) || !std::isfinite(value))
    fail(ErrorKind::kBadFile, "{}: key \"{}\": expected a finite number >= 0, got {}", origin, key, value);
  return value;
}

/// NaN for null: nothing was measured.
double foretold(const Json& object, const char* key, const std::string& origin) {
  const bool measured = !(object.is_object() && object.contains(key) && object.at(key).is_null());
  return measured ? non_negative(object, key, origin) : std::numeric_limits<double>::quiet_NaN();
}

uint64_t byte_count(const Json& object, const char* key, const std::string& origin) {
  return static_cast<uint64_t>(json_int(object, key, origin, 0, kMaxExactInteger));
}

PlanEntry entry_from_json(const Json& json, const std::string& origin) {
  PlanEntry entry;
  entry.tensor = nonempty_text(json, "tensor", origin);
  const std::string where = origin + " (" + entry.tensor + ")";
  entry.role = plain_text(json, "role", where);
  entry.layer = json_int(json, "layer", where, -1, kMaxExactInteger);
  entry.rows = json_int(json, "rows", where, 0, kMaxExactInteger);
  entry.cols = json_int(json, "cols", where, 0, kMaxExactInteger);
  entry.scheme = nonempty_text(json, "scheme", where);
  entry.bytes = byte_count(json, "bytes", where);
  const uint64_t bytes = from_file(where, [&] { return Scheme::parse(entry.scheme).bytes(entry.rows, entry.cols); });
  if (bytes != entry.bytes)
    fail(ErrorKind::kBadFile, "{}: key \"bytes\": {} of [{}, {}] takes {}, got {}; plan again", where, entry.scheme,
         entry.rows, entry.cols, bytes, entry.bytes);
  entry.damage = foretold(json, "kl_nats", where);
  entry.reason = plain_text(json, "reason", where);
  if (json_find(json, "wanted") != nullptr) entry.wanted = nonempty_text(json, "wanted", where);
  return entry;
}

Json objective_to_json(const PlannedObjective& objective) {
  Json json = {{"name", objective.name},
               {"kl_nats", objective.kl_nats},
               {"lower_bound_kl_nats", objective.lower_bound_kl_nats},
               {"groups", Json::array()}};
  for (const PlannedGroup& g : objective.groups)
    json["groups"].push_back(
        {{"group", g.group}, {"weight", g.weight}, {"kl_nats", g.kl_nats}, {"least_kl_nats", g.least_kl_nats}});
  return json;
}

PlannedObjective objective_from_json(const Json& json, const std::string& origin) {
  PlannedObjective objective;
  objective.name = nonempty_text(json, "name", origin);
  objective.kl_nats = non_negative(json, "kl_nats", origin);
  objective.lower_bound_kl_nats = non_negative(json, "lower_bound_kl_nats", origin);
  const Json& groups = json_member(json, "groups", origin);
  if (!groups.is_array() || groups.size() > kMaxEntries)
    fail(ErrorKind::kBadFile, "{}: key \"groups\": expected an array of at most {} groups", origin, kMaxEntries);
  for (const Json& row : groups)
    objective.groups.push_back({nonempty_text(row, "group", origin), non_negative(row, "weight", origin),
                                non_negative(row, "kl_nats", origin), non_negative(row, "least_kl_nats", origin)});
  return objective;
}

}  // namespace

Json plan_to_json(const Plan& plan) {
  Json tensors = Json::array();
  for (const PlanEntry& entry : plan.entries) {
    tensors.push_back({{"tensor", entry.tensor},
                       {"role", entry.role},
                       {"layer", entry.layer},
                       {"rows", entry.rows},
                       {"cols", entry.cols},
                       {"scheme", entry.scheme},
                       {"bytes", entry.bytes},
                       {"kl_nats", finite_or_null(entry.damage)},
                       {"reason", entry.reason}});
    if (!entry.wanted.empty()) tensors.back()["wanted"] = entry.wanted;
  }
  Json json = {{"kind", "plan"},
               {"schema_version", plan.schema_version},
               {"target", plan.target},
               {"method", plan.method},
               {"label", plan.label},
               {"budget", {{"text", plan.budget_text}, {"bytes", plan.budget_bytes}}},
               {"tensor_bytes", plan.tensor_bytes},
               {"price_nats_per_byte", plan.price_per_byte},
               {"predicted_kl_nats", finite_or_null(plan.predicted_kl_nats)},
               {"lower_bound_kl_nats", finite_or_null(plan.lower_bound_kl_nats)}};
  if (plan.objective) json["objective"] = objective_to_json(*plan.objective);
  json["tensors"] = std::move(tensors);
  json["provenance"] = plan.provenance;
  return json;
}

Plan plan_from_json(const Json& json, const std::string& origin) {
  if (!json.is_object()) fail(ErrorKind::kBadFile, "{}: expected an object, got {}", origin, json.type_name());
  if (const std::string kind = json_string(json, "kind", origin); kind != "plan")
    fail(ErrorKind::kBadFile, "{}: expected kind \"plan\", got \"{}\"; is this another stage's file?", origin,
         kind.substr(0, 40));
  Plan plan;
  plan.schema_version = static_cast<int>(json_int(json, "schema_version", origin, 1, 1000));
  if (const int known = Plan().schema_version; plan.schema_version != known)
    fail(ErrorKind::kBadFile, "{}: schema_version {} is {} than this program's {}; make the plan again", origin,
         plan.schema_version, plan.schema_version > known ? "newer" : "older", known);
  plan.target = nonempty_text(json, "target", origin);
  plan.method = nonempty_text(json, "method", origin);
  plan.label = plain_text(json, "label", origin);
  const Json& budget = json_member(json, "budget", origin);
  plan.budget_text = plain_text(budget, "text", origin + ": budget");
  plan.budget_bytes = byte_count(budget, "bytes", origin + ": budget");
  plan.tensor_bytes = byte_count(json, "tensor_bytes", origin);
  plan.price_per_byte = non_negative(json, "price_nats_per_byte", origin);
  plan.predicted_kl_nats = foretold(json, "predicted_kl_nats", origin);
  plan.lower_bound_kl_nats = foretold(json, "lower_bound_kl_nats", origin);
  if (const Json* objective = json_find(json, "objective"))
    plan.objective = objective_from_json(*objective, origin + ": objective");

  const Json& tensors = json_member(json, "tensors", origin);
  if (!tensors.is_array() || tensors.size() > kMaxEntries)
    fail(ErrorKind::kBadFile, "{}: key \"tensors\": expected an array of at most {} entries", origin, kMaxEntries);
  std::set<std::string> names;
  uint64_t sum = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    plan.entries.push_back(entry_from_json(tensors[i], fmt::format("{}: tensors[{}]", origin, i)));
    const PlanEntry& entry = plan.entries.back();
    if (!names.insert(entry.tensor).second)
      fail(ErrorKind::kBadFile, "{}: tensor {} is listed twice", origin, entry.tensor);
    sum = internal::saturating_add(sum, entry.bytes);
  }
  if (sum != plan.tensor_bytes)
    fail(ErrorKind::kBadFile, "{}: tensors add up to {} bytes, tensor_bytes says {}", origin, sum, plan.tensor_bytes);
  plan.provenance = json_member(json, "provenance", origin);
  if (!plan.provenance.is_object())
    fail(ErrorKind::kBadFile, "{}: key \"provenance\": expected an object, got {}", origin,
         plan.provenance.type_name());
  return plan;
}

}  // namespace vernier
