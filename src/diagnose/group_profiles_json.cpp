#include "base/fail.h"
#include "base/measured_json.h"
#include "diagnose/diagnosis_json.h"
#include "diagnose/group_profiles.h"

namespace vernier {

Json profiles_to_json(const GroupProfiles& profiles) {
  Json json = {{"permutations", profiles.permutations}, {"p", profiles.p}, {"components", Json::array()}};
  for (const GroupProfile& profile : profiles.components)
    json["components"].push_back({{"name", name_of(profile.component)},
                                  {"explained_share", profile.explained_share},
                                  {"group", profile.group},
                                  {"factor", profile.factor},
                                  {"factors", profile.factors},
                                  {"p", profile.p}});
  return json;
}

GroupProfiles profiles_from_json(const Json& json, const std::string& origin) {
  GroupProfiles profiles;
  profiles.permutations = json_int(json, "permutations", origin, 0, kMaxCount);
  profiles.p = json_number(json, "p", origin);
  for (const Json& row : array_at(json, "components", origin)) {
    GroupProfile profile;
    profile.component = component_at(row, origin);
    profile.explained_share = json_number(row, "explained_share", origin);
    profile.group = json_string(row, "group", origin);
    profile.factor = json_number(row, "factor", origin);
    profile.p = json_number(row, "p", origin);
    if (const Json* factors = json_find(row, "factors"); factors != nullptr && factors->is_object())
      for (const auto& [group, value] : factors->items())
        profile.factors[group] = json_number(*factors, group.c_str(), origin);
    profiles.components.push_back(std::move(profile));
  }
  return profiles;
}

Json groups_of_damage_to_json(const std::map<std::string, GroupDamage>& groups) {
  Json json = Json::object();
  for (const auto& [name, damage] : groups) {
    put_measured(json[name], "kl_nats", damage.kl);
    put_measured(json[name], "delta_nll_nats", damage.delta_nll);
  }
  return json;
}

std::map<std::string, GroupDamage> groups_of_damage_from_json(const Json& json, const std::string& origin) {
  if (!json.is_object()) fail(ErrorKind::kBadFile, "{}: \"groups\": expected an object", origin);
  std::map<std::string, GroupDamage> groups;
  for (const auto& [name, row] : json.items()) {
    const std::string where = fmt::format("{}: group {}", origin, name);
    groups[name] = {measured_at(row, "kl_nats", where), measured_at(row, "delta_nll_nats", where)};
  }
  return groups;
}

}  // namespace vernier
