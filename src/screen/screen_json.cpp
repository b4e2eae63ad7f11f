#include <cmath>

#include "base/fail.h"
#include "base/from_file.h"
#include "base/json.h"
#include "base/measured_json.h"
#include "base/output_file.h"
#include "vernier/screen.h"
#include "vernier/version.h"

namespace vernier {

namespace {

constexpr std::string_view kSampled = "sampled", kText = "text";

const Json& member(const Json& json, const char* key, const std::string& origin) {
  const Json* found = json.is_object() ? json_find(json, key) : nullptr;
  if (found == nullptr) fail(ErrorKind::kBadFile, "{}: \"{}\" is missing; is this a screen?", origin, key);
  return *found;
}

/// The array under `key`, of `size` elements unless it is negative.
const Json& array_of(const Json& json, const char* key, const std::string& origin, int64_t size = -1) {
  const Json& array = member(json, key, origin);
  if (!array.is_array()) fail(ErrorKind::kBadFile, "{}: \"{}\": expected an array", origin, key);
  if (size >= 0 && static_cast<int64_t>(array.size()) != size)
    fail(ErrorKind::kBadFile, "{}: \"{}\": expected {} elements, got {}", origin, key, size, array.size());
  return array;
}

std::vector<std::string> texts_of(const Json& json, const char* key, const std::string& origin, int64_t size = -1) {
  std::vector<std::string> texts;
  for (const Json& text : array_of(json, key, origin, size)) {
    if (!text.is_string()) fail(ErrorKind::kBadFile, "{}: \"{}\": expected texts", origin, key);
    texts.push_back(text.get<std::string>());
  }
  return texts;
}

std::vector<int64_t> counts_of(const Json& json, const char* key, const std::string& origin, int64_t size) {
  std::vector<int64_t> counts;
  for (const Json& count : array_of(json, key, origin, size)) {
    if (!count.is_number_integer() || count.get<int64_t>() < 0 || count.get<int64_t>() > kMaxCount)
      fail(ErrorKind::kBadFile, "{}: \"{}\": expected counts", origin, key);
    counts.push_back(count.get<int64_t>());
  }
  return counts;
}

/// null is `missing`.
std::vector<double> numbers_of(const Json& json, const char* key, const std::string& origin, size_t size,
                               double missing = std::nan("")) {
  std::vector<double> numbers;
  for (const Json& number : array_of(json, key, origin, static_cast<int64_t>(size))) {
    if (!number.is_number() && !number.is_null())
      fail(ErrorKind::kBadFile, "{}: \"{}\": expected numbers", origin, key);
    numbers.push_back(number.is_null() ? missing : number.get<double>());
  }
  return numbers;
}

Json domains_to_json(const Screen& s) {
  Json domains = Json::array();
  for (const ScreenedDomain& domain : s.domains) {
    Json json = {{"name", domain.name},
                 {"data", domain.data_name},
                 {"data_hash", domain.data_hash},
                 {"windows", domain.windows},
                 {"tokens", domain.tokens}};
    put_measured(json, "label_nll_nats", domain.label_nll);
    for (const auto& [kind, scale] : domain.scales) {
      Json& own = json["scales"][kind];
      put_measured(own, "ratio", scale.ratio);
      put_measured(own, "used", scale.used);
    }
    domains.push_back(std::move(json));
  }
  return domains;
}

ScreenedDomain domain_from_json(const Json& json, const std::string& origin) {
  ScreenedDomain domain;
  domain.name = json_string(json, "name", origin);
  domain.data_name = json_string(json, "data", origin);
  domain.data_hash = json_string(json, "data_hash", origin);
  domain.windows = json_int(json, "windows", origin, 1, kMaxCount);
  domain.tokens = json_int(json, "tokens", origin, 1, kMaxCount);
  domain.label_nll = measured_at(json, "label_nll_nats", origin);
  const Json& scales = member(json, "scales", origin);
  if (!scales.is_object()) fail(ErrorKind::kBadFile, "{}: \"scales\": expected an object", origin);
  for (const auto& [kind, scale] : scales.items())
    domain.scales[kind] = {measured_at(scale, "ratio", origin), measured_at(scale, "used", origin)};
  return domain;
}

/// Estimator, domain, scheme: arrays over components.
Json values_to_json(const Screen& s) {
  Json values;
  for (size_t e = 0; e < s.estimators.size(); ++e)
    for (size_t d = 0; d < s.domains.size(); ++d)
      for (size_t scheme = 0; scheme < s.schemes.size(); ++scheme) {
        Json mean = Json::array(), error = Json::array();
        bool errors = false;
        for (size_t c = 0; c < s.components.size(); ++c) {
          const Measured& value = s.values[s.value_index(e, d, scheme, c)];
          mean.push_back(finite_or_null(value.mean));
          error.push_back(finite_or_null(value.standard_error));
          errors = errors || std::isfinite(value.standard_error);
        }
        Json& own = values[s.estimators[e]][s.domains[d].name][s.schemes[scheme]];
        own["mean"] = std::move(mean);
        if (errors) own["stderr"] = std::move(error);
      }
  return values;
}

void values_from_json(const Json& json, const std::string& origin, Screen& s) {
  const Json& values = member(json, "values", origin);
  for (size_t e = 0; e < s.estimators.size(); ++e)
    for (size_t d = 0; d < s.domains.size(); ++d)
      for (size_t scheme = 0; scheme < s.schemes.size(); ++scheme) {
        const Json& by_domain = member(values, s.estimators[e].c_str(), origin);
        const Json& by_scheme = member(by_domain, s.domains[d].name.c_str(), origin);
        const Json& own = member(by_scheme, s.schemes[scheme].c_str(), origin);
        const std::vector<double> mean = numbers_of(own, "mean", origin, s.components.size());
        std::vector<double> error(s.components.size(), std::nan(""));
        if (json_find(own, "stderr") != nullptr) error = numbers_of(own, "stderr", origin, s.components.size());
        // In the order of value_index(), as they are found: counts alone may promise any number of them.
        for (size_t c = 0; c < mean.size(); ++c) s.values.push_back({mean[c], error[c]});
      }
}

Json matrices_to_json(const Screen& s) {
  Json names = Json::array(), rows = Json::array(), cols = Json::array(), errors = Json::object();
  for (const ScreenedMatrix& matrix : s.matrices) {
    names.push_back(name_of(matrix.tensor));
    rows.push_back(matrix.rows);
    cols.push_back(matrix.cols);
    for (size_t scheme = 0; scheme < s.schemes.size(); ++scheme) {
      const MatrixError& error = matrix.errors[scheme];
      Json& own = errors[s.schemes[scheme]];
      own["scheme"].push_back(error.scheme);
      own["kept"].push_back(error.kept ? 1 : 0);
      own["error_power"].push_back(error.error_power);
      own["sqnr_db"].push_back(finite_or_null(error.sqnr_db));
    }
  }
  return {{"tensors", names}, {"rows", rows}, {"cols", cols}, {"errors", errors}};
}

void matrices_from_json(const Json& json, const std::string& origin, Screen& s) {
  const Json& all = member(json, "matrices", origin);
  const std::vector<std::string> names = texts_of(all, "tensors", origin);
  const auto count = static_cast<int64_t>(names.size());
  const std::vector<int64_t> rows = counts_of(all, "rows", origin, count), cols = counts_of(all, "cols", origin, count);
  for (size_t m = 0; m < names.size(); ++m)
    s.matrices.push_back({from_file(origin, [&] { return parse_tensor(names[m]); }), rows[m], cols[m], {}});
  if (names.empty()) return;
  const Json& errors = member(all, "errors", origin);
  for (const std::string& scheme : s.schemes) {
    const Json& own = member(errors, scheme.c_str(), origin);
    const std::vector<std::string> given = texts_of(own, "scheme", origin, count);
    const std::vector<int64_t> kept = counts_of(own, "kept", origin, count);
    const std::vector<double> power = numbers_of(own, "error_power", origin, names.size());
    const std::vector<double> sqnr = numbers_of(own, "sqnr_db", origin, names.size(), INFINITY);
    for (size_t m = 0; m < names.size(); ++m)
      s.matrices[m].errors.push_back({given[m], kept[m] != 0, power[m], sqnr[m]});
  }
}

template <class Names>
void require_unlike(const Names& names, const char* key, const std::string& origin) {
  if (std::set<std::string>(names.begin(), names.end()).size() != names.size() || names.empty())
    fail(ErrorKind::kBadFile, "{}: \"{}\": expected names, each once", origin, key);
}

}  // namespace

Json screen_to_json(const Screen& s) {
  Json json = {{"kind", "screen"}};
  json["schema_version"] = s.schema_version;
  json["tool_version"] = VERNIER_VERSION;
  json["model_hash"] = s.model_hash;
  json["calibration_hash"] = s.calibration_hash;
  json["seed"] = s.seed;
  json["labels"] = s.labels == ScreenLabels::kSampled ? kSampled : kText;
  json["kfac_rows"] = s.kfac_rows;
  json["hessian_probes"] = s.hessian_probes;
  json["schemes"] = s.schemes;
  json["domains"] = domains_to_json(s);
  json["estimators"] = Json::array();
  for (const std::string& key : s.estimators) {
    const Estimator* estimator = find_estimator(key);
    json["estimators"].push_back({{"key", key},
                                  {"name", estimator->name},
                                  {"unit", estimator->unit},
                                  {"source", estimator->source},
                                  {"predicts_nats", estimator->predicts_nats}});
  }
  json["components"] = Json::array();
  for (const Component& component : s.components) json["components"].push_back(name_of(component));
  json["parameters"] = s.parameters;
  json["values"] = values_to_json(s);
  json["matrices"] = matrices_to_json(s);
  if (s.limit) json["limit"] = limit_to_json(*s.limit);
  return json;
}

Screen screen_from_json(const Json& json, const std::string& origin) {
  Screen s;
  if (!json.is_object()) fail(ErrorKind::kBadFile, "{}: expected an object; is this a screen?", origin);
  if (json_int(json, "schema_version", origin, 1, 1 << 20) != s.schema_version)
    fail(ErrorKind::kBadFile, "{}: screen of another schema; screen again", origin);
  s.model_hash = json_string(json, "model_hash", origin);
  s.calibration_hash = json_string(json, "calibration_hash", origin);
  const Json& seed = member(json, "seed", origin);
  if (!seed.is_number_unsigned() && !(seed.is_number_integer() && seed.get<int64_t>() >= 0))
    fail(ErrorKind::kBadFile, "{}: \"seed\": expected a count", origin);
  s.seed = seed.get<uint64_t>();
  const std::string labels = json_string(json, "labels", origin);
  if (labels != kSampled && labels != kText)
    fail(ErrorKind::kBadFile, "{}: \"labels\": expected {} or {}, got \"{}\"", origin, kSampled, kText, labels);
  s.labels = labels == kSampled ? ScreenLabels::kSampled : ScreenLabels::kText;
  s.kfac_rows = json_int(json, "kfac_rows", origin, 0, kMaxCount);
  s.hessian_probes = static_cast<int>(json_int(json, "hessian_probes", origin, 0, 1 << 30));
  s.schemes = texts_of(json, "schemes", origin);
  require_unlike(s.schemes, "schemes", origin);
  std::vector<std::string> names;
  for (const Json& domain : array_of(json, "domains", origin)) {
    s.domains.push_back(domain_from_json(domain, origin));
    names.push_back(s.domains.back().name);
  }
  require_unlike(names, "domains", origin);
  for (const Json& row : array_of(json, "estimators", origin)) {
    s.estimators.push_back(json_string(row, "key", origin));
    if (find_estimator(s.estimators.back()) == nullptr)
      fail(ErrorKind::kBadFile, "{}: \"estimators\": \"{}\" is none of ours; screen again", origin,
           s.estimators.back());
  }
  require_unlike(s.estimators, "estimators", origin);
  for (const std::string& name : texts_of(json, "components", origin))
    s.components.push_back(from_file(origin, [&] { return parse_component(name); }));
  s.parameters = counts_of(json, "parameters", origin, static_cast<int64_t>(s.components.size()));
  values_from_json(json, origin, s);
  matrices_from_json(json, origin, s);
  if (const Json* limit = json_find(json, "limit")) s.limit = limit_from_json(*limit, origin);
  return s;
}

void save_screen(const Screen& screen, const std::filesystem::path& path) {
  const Json json = screen_to_json(screen);
  OutputFile file(path);
  std::string_view before = "{\n";
  for (const auto& [key, value] : json.items()) {
    file.write(fmt::format("{}{}: {}", before, Json(key).dump(), value.dump()));
    before = ",\n";
  }
  file.write("\n}\n");
  file.commit();
}

}  // namespace vernier
