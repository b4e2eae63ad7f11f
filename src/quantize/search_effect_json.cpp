#include <cmath>

#include "base/fail.h"
#include "base/from_file.h"
#include "base/json.h"
#include "vernier/search_effect.h"
#include "vernier/version.h"

namespace vernier {

namespace {
constexpr int64_t kSearchEffectVersion = 1;
}  // namespace

nlohmann::ordered_json search_effect_to_json(const SearchEffect& effect) {
  Json json = {{"kind", "search_effect"},         {"schema_version", kSearchEffectVersion},
               {"tool_version", VERNIER_VERSION}, {"model_hash", effect.model_hash},
               {"method", effect.method},         {"matrices", Json::array()}};
  for (const auto& [id, left] : effect.left) json["matrices"].push_back({{"tensor", name_of(id)}, {"left", left}});
  return json;
}

SearchEffect search_effect_from_json(const nlohmann::ordered_json& json, const std::string& origin) {
  if (json_string(json, "kind", origin) != "search_effect")
    fail(ErrorKind::kBadFile, "{}: expected what a search of values leaves, which `vernier run` writes", origin);
  if (const int64_t schema = json_int(json, "schema_version", origin, 0, 1 << 20); schema != kSearchEffectVersion)
    fail(ErrorKind::kBadFile, "{}: schema_version {}, expected {}; make it again", origin, schema,
         kSearchEffectVersion);
  SearchEffect effect{json_string(json, "model_hash", origin), json_string(json, "method", origin), {}};
  const Json& matrices = json_member(json, "matrices", origin);
  if (!matrices.is_array()) fail(ErrorKind::kBadFile, "{}: expected an array of matrices", origin);
  for (const Json& row : matrices) {
    const TensorId id = from_file(origin, [&] { return parse_tensor(json_string(row, "tensor", origin)); });
    const std::string where = origin + " (" + name_of(id) + ")";
    const double left = json_number(row, "left", where);
    if (!(left >= 0) || !std::isfinite(left))
      fail(ErrorKind::kBadFile, "{}: expected a finite share >= 0, got {}", where, left);
    if (!effect.left.emplace(id, left).second) fail(ErrorKind::kBadFile, "{}: is there twice", where);
  }
  return effect;
}

}  // namespace vernier
