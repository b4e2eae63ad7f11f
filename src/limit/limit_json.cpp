#include <cmath>

#include "base/fail.h"
#include "base/json.h"
#include "vernier/limit.h"

namespace vernier {

namespace {

const Json& array_of(const Json& json, const char* key, const std::string& origin) {
  const Json* found = json.is_object() ? json_find(json, key) : nullptr;
  if (found == nullptr || !found->is_array())
    fail(ErrorKind::kBadFile, "{}: \"{}\": expected an array; is this a limit?", origin, key);
  return *found;
}

double positive(const Json& json, const char* key, const std::string& origin) {
  const double value = json_number(json, key, origin);
  if (!(value >= 0)) fail(ErrorKind::kBadFile, "{}: \"{}\": expected a number of at least 0", origin, key);
  return value;
}

DamageSpectrum spectrum_from_json(const Json& json, const std::string& origin) {
  DamageSpectrum m;
  m.tensor = json_string(json, "tensor", origin);
  m.rows = json_int(json, "rows", origin, 1, kMaxCount);
  m.cols = json_int(json, "cols", origin, 1, kMaxCount);
  m.variance = positive(json, "variance", origin);
  m.total_nats = positive(json, "total_nats", origin);
  m.first_level = json_int(json, "first_level", origin, -(1 << 20), 1 << 20);
  for (const Json& count : array_of(json, "directions", origin)) {
    if (!count.is_number() || !(count.get<double>() >= 0))
      fail(ErrorKind::kBadFile, "{}: {}: \"directions\": expected counts", origin, m.tensor);
    m.directions.push_back(count.get<double>());
  }
  if (m.directions.size() > (1 << 20))
    fail(ErrorKind::kBadFile, "{}: {}: {} levels are too many", origin, m.tensor, m.directions.size());
  return m;
}

}  // namespace

Json limit_to_json(const Limit& limit) {
  Json matrices = Json::array();
  for (const DamageSpectrum& m : limit.matrices)
    matrices.push_back({{"tensor", m.tensor},
                        {"rows", m.rows},
                        {"cols", m.cols},
                        {"variance", m.variance},
                        {"total_nats", m.total_nats},
                        {"first_level", m.first_level},
                        {"directions", m.directions}});
  return {{"levels_per_octave", kLevelsPerOctave}, {"tokens", limit.tokens}, {"matrices", matrices}};
}

Limit limit_from_json(const Json& json, const std::string& origin) {
  if (!json.is_object()) fail(ErrorKind::kBadFile, "{}: expected an object; is this a limit?", origin);
  if (json_int(json, "levels_per_octave", origin, 1, 1 << 20) != kLevelsPerOctave)
    fail(ErrorKind::kBadFile, "{}: \"levels_per_octave\": expected {}; screen again", origin, kLevelsPerOctave);
  Limit limit;
  limit.tokens = json_int(json, "tokens", origin, 1, kMaxCount);
  for (const Json& matrix : array_of(json, "matrices", origin))
    limit.matrices.push_back(spectrum_from_json(matrix, origin));
  return limit;
}

Json limit_shares_to_json(const LimitShares& s) {
  return {{"limit_kl_nats", finite_or_null(s.limit_nats)},
          {"ratio", finite_or_null(s.ratio())},
          {"scales", finite_or_null(s.scales)},
          {"types", finite_or_null(s.types)},
          {"directions", finite_or_null(s.directions)},
          {"scalar_grid", finite_or_null(s.scalar_grid)},
          {"fixed_rate", finite_or_null(s.fixed_rate)},
          {"rounding", finite_or_null(s.rounding)}};
}

}  // namespace vernier
