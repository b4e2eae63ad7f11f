#include <fmt/ranges.h>

#include "base/fail.h"
#include "base/from_file.h"
#include "base/json.h"
#include "base/measured_json.h"
#include "vernier/confirm.h"

namespace vernier {

namespace {

using Why = ConfirmedMatrix::Why;
constexpr std::pair<Why, std::string_view> kReasons[] = {
    {Why::kOutside, "outside of the layers"}, {Why::kSample, "sample"}, {Why::kOnTheCut, "on the cut"}};

std::string_view name_of(Why why) {
  for (const auto& [reason, name] : kReasons)
    if (reason == why) return name;
  return "";
}

Why parse_why(const std::string& text, const std::string& origin) {
  for (const auto& [reason, name] : kReasons)
    if (name == text) return reason;
  fail(ErrorKind::kBadFile, "{}: why \"{}\" a matrix was measured is not known", origin, text);
}

ConfirmedMatrix matrix_from_json(const Json& json, const std::string& origin) {
  ConfirmedMatrix m;
  m.tensor = from_file(origin, [&] { return parse_tensor(json_string(json, "tensor", origin)); });
  m.why = parse_why(json_string(json, "why", origin), origin);
  m.scheme = json_string(json, "scheme", origin);
  m.foretold = json_number(json, "foretold_kl_nats", origin);
  m.exact = measured_at(json, "kl_nats", origin);
  m.delta_nll = measured_at(json, "delta_nll_nats", origin);
  m.same_top = measured_at(json, "same_top_share", origin);
  m.low = number_or_nan(json, "kl_nats_low", origin);
  m.high = number_or_nan(json, "kl_nats_high", origin);
  m.windows = json_int(json, "windows", origin, 1, int64_t{1} << 40);
  return m;
}

}  // namespace

nlohmann::ordered_json confirmation_to_json(const Confirmation& c) {
  Json json = {{"kind", "confirmation"},
               {"factor", c.factor},
               {"factor_log_slope", c.factor_slope},
               {"factor_log_spread", c.factor_spread},
               {"doubt_kl_nats", finite_or_null(c.doubt)},
               {"complete", c.complete},
               {"control_kl_nats", c.control_kl},
               {"matrices", Json::array()}};
  for (const ConfirmedMatrix& m : c.matrices) {
    Json row = {
        {"tensor", name_of(m.tensor)}, {"why", name_of(m.why)}, {"scheme", m.scheme}, {"foretold_kl_nats", m.foretold}};
    put_measured(row, "kl_nats", m.exact);
    put_measured(row, "delta_nll_nats", m.delta_nll);
    put_measured(row, "same_top_share", m.same_top);
    row["kl_nats_low"] = finite_or_null(m.low);
    row["kl_nats_high"] = finite_or_null(m.high);
    row["windows"] = m.windows;
    json["matrices"].push_back(std::move(row));
  }
  json["damage"] = damage_table_to_json(c.table);
  return json;
}

Confirmation confirmation_from_json(const nlohmann::ordered_json& json, const std::string& origin) {
  Confirmation c;
  c.factor = json_number(json, "factor", origin);
  if (json_find(json, "factor_log_slope") != nullptr)  // absent in older files
    c.factor_slope = json_number(json, "factor_log_slope", origin);
  c.factor_spread = json_number(json, "factor_log_spread", origin);
  c.doubt = number_or_nan(json, "doubt_kl_nats", origin);
  c.control_kl = json_number(json, "control_kl_nats", origin);
  const Json& complete = json_member(json, "complete", origin);
  const Json& matrices = json_member(json, "matrices", origin);
  if (!complete.is_boolean() || !matrices.is_array())
    fail(ErrorKind::kBadFile, "{}: expected \"complete\" to be true or false and \"matrices\" an array", origin);
  c.complete = complete.get<bool>();
  for (const Json& row : matrices) c.matrices.push_back(matrix_from_json(row, origin));
  c.table = damage_table_from_json(json_member(json, "damage", origin), origin);
  return c;
}

}  // namespace vernier
