#include "model/rope_config.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/fail.h"
#include "model/config_file.h"
#include "model/foreign_keys.h"

namespace vernier {

namespace {

struct RopeType {
  const char* name;
  RopeConfig::Kind kind;
  std::vector<const char*> keys;  // what is read
};

const std::vector<RopeType>& rope_types() {
  static const std::vector<RopeType> types = {
      {"default", RopeConfig::Kind::kDefault, {}},
      {"linear", RopeConfig::Kind::kLinear, {"factor"}},
      {"llama3",
       RopeConfig::Kind::kLlama3,
       {"factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"}},
      {"yarn",
       RopeConfig::Kind::kYarn,
       {"factor", "beta_fast", "beta_slow", "mscale", "mscale_all_dim", "attention_factor", "truncate",
        "original_max_position_embeddings"}}};
  return types;
}

/// Keys that every type may carry. The ones with a number change nothing at that number only.
bool is_harmless(const std::string& key, const Json& value) {
  static constexpr const char* kAlways[] = {"rope_type", "type", "rope_theta", "original_max_position_embeddings",
                                            "finetuned"};  // "finetuned" is a note of YaRN's authors
  static constexpr const char* kAtOne[] = {"partial_rotary_factor", "factor", "attention_factor", "attn_factor",
                                           "extrapolation_factor"};
  const auto is_key = [&](const char* name) { return key == name; };
  return std::any_of(std::begin(kAlways), std::end(kAlways), is_key) ||
         (std::any_of(std::begin(kAtOne), std::end(kAtOne), is_key) && is_neutral(value, {1}));
}

/// An object of the configuration, with the name it has there.
struct RopePlace {
  std::string name;
  Json values;
};

const RopeType& type_of(const RopePlace& place, const std::string& origin) {
  std::string name = "default";
  const Json *renamed = json_find(place.values, "rope_type"), *old = json_find(place.values, "type");
  if (renamed != nullptr && old != nullptr && *renamed != *old)
    fail(ErrorKind::kBadFile, "{}: {}: rope_type is {} and type is {}; remove the wrong one", origin, place.name,
         renamed->dump(), old->dump());
  if (renamed != nullptr || old != nullptr)
    name = json_string(place.values, renamed != nullptr ? "rope_type" : "type", origin);
  for (const RopeType& type : rope_types())
    if (name == type.name) return type;
  fail(ErrorKind::kUnsupported, "{}: {}: rope type \"{}\"; supported: default, linear, llama3, yarn", origin,
       place.name, name);
}

void check_keys(const RopePlace& place, const std::string& origin) {
  const RopeType& type = type_of(place, origin);
  for (const auto& [key, value] : place.values.items()) {
    const bool read = std::find(type.keys.begin(), type.keys.end(), key) != type.keys.end();
    if (read || value.is_null() || is_harmless(key, value)) continue;
    fail(ErrorKind::kUnsupported,
         "{}: {}: key \"{}\" is {}: not known for rope type \"{}\", and ignoring it may make every number wrong; use a "
         "model without it, or remove the key if the model's own code does not read it",
         origin, place.name, key, value_text(value), type.name);
  }
}

/// transformers may write one set of parameters per kind of layer. One rotary table serves all layers here.
Json one_for_all_layers(const Json& values, const std::string& name, const std::string& origin) {
  const Json* first = nullptr;
  std::string first_key;
  for (const auto& [key, value] : values.items()) {
    if (!key.ends_with("_attention")) continue;
    if (first != nullptr && value != *first)
      fail(ErrorKind::kUnsupported,
           "{}: {}: \"{}\" and \"{}\" differ; supported: the same rotary embedding in every layer", origin, name,
           first_key, key);
    if (first == nullptr) first = &value, first_key = key;
  }
  if (first == nullptr) return values;
  if (!first->is_object()) fail(ErrorKind::kBadFile, "{}: {}: \"{}\": expected an object", origin, name, first_key);
  Json merged = *first;
  for (const auto& [key, value] : values.items()) {
    if (key.ends_with("_attention")) continue;
    if (merged.contains(key) && merged[key] != value)
      fail(ErrorKind::kBadFile, "{}: {}: {} is {} and in \"{}\" {}; remove the wrong one", origin, name, key,
           value.dump(), first_key, merged[key].dump());
    merged[key] = value;
  }
  return merged;
}

std::vector<RopePlace> rope_places(const Json& config, const std::string& origin) {
  std::vector<RopePlace> places;
  for (const char* name : {"rope_parameters", "rope_scaling"}) {
    const Json* values = json_find(config, name);
    if (values == nullptr || (values->is_object() && values->empty())) continue;
    if (!values->is_object())
      fail(ErrorKind::kBadFile, "{}: key \"{}\": expected an object, got {}", origin, name, values->dump());
    places.push_back({name, one_for_all_layers(*values, name, origin)});
    check_keys(places.back(), origin);
  }
  return places;
}

/// The one value that `key` has in `places`; nothing when it is in none.
std::optional<Json> agreed(const char* key, const std::vector<RopePlace>& places, const std::string& origin) {
  const RopePlace* found = nullptr;
  for (const RopePlace& place : places) {
    const Json* value = json_find(place.values, key);
    if (value == nullptr) continue;
    if (found != nullptr && *value != found->values[key])
      fail(ErrorKind::kBadFile, "{}: key \"{}\" is {} in {} and {} in {}; remove the wrong one", origin, key,
           found->values[key].dump(), found->name, value->dump(), place.name);
    if (found == nullptr) found = &place;
  }
  return found == nullptr ? std::nullopt : std::optional(found->values[key]);
}

/// All that the places say, as one object. A key that only one of two objects has is a contradiction too: software that
/// reads the other one computes something else.
Json agreed_parameters(const Json& config, const std::vector<RopePlace>& places, const RopeType& type,
                       const std::string& origin) {
  if (places.size() == 2) {
    for (const char* key : type.keys) {
      if ((json_find(places[0].values, key) == nullptr) != (json_find(places[1].values, key) == nullptr))
        fail(ErrorKind::kBadFile,
             "{}: rope_parameters and rope_scaling differ: key \"{}\" is in one of them; remove "
             "the wrong one",
             origin, key);
    }
    if (const RopeType& other = type_of(places[1], origin); other.kind != type.kind)
      fail(ErrorKind::kBadFile,
           "{}: rope_parameters have the type \"{}\" and rope_scaling has \"{}\"; remove the wrong one", origin,
           type.name, other.name);
  }
  // Two keys may also stand outside; there they are read as transformers does.
  Json outside = Json::object();
  for (const char* key : {"rope_theta", "original_max_position_embeddings"})
    if (const Json* value = json_find(config, key)) outside[key] = *value;
  std::vector<RopePlace> all = places;
  all.push_back({"the configuration", outside});

  Json parameters = Json::object();
  if (const auto value = agreed("rope_theta", all, origin)) parameters["rope_theta"] = *value;
  for (const char* key : type.keys)
    if (const auto value = agreed(key, all, origin)) parameters[key] = *value;
  return parameters;
}

double yarn_magnitude(double factor, double mscale) { return factor <= 1 ? 1 : 0.1 * mscale * std::log(factor) + 1; }

void parse_yarn(RopeConfig& rope, const Json& source, const std::string& origin) {
  rope.beta_fast = positive(number_or(source, "beta_fast", 32, origin), "beta_fast", origin);
  rope.beta_slow = positive(number_or(source, "beta_slow", 1, origin), "beta_slow", origin);
  rope.truncate = flag_or(source, "truncate", true, origin);
  // arXiv:2309.00071, section 3.4; DeepSeek's mscale pair replaces the constant 0.1 ln(s) + 1.
  const double mscale = number_or(source, "mscale", 0, origin);
  const double mscale_all_dim = number_or(source, "mscale_all_dim", 0, origin);
  const double derived = mscale != 0 && mscale_all_dim != 0
                             ? yarn_magnitude(rope.factor, mscale) / yarn_magnitude(rope.factor, mscale_all_dim)
                             : yarn_magnitude(rope.factor, 1);
  rope.attention_factor = positive(number_or(source, "attention_factor", derived, origin), "attention_factor", origin);
}

void parse_llama3(RopeConfig& rope, const Json& source, const std::string& origin) {
  rope.low_freq_factor = positive(json_number(source, "low_freq_factor", origin), "low_freq_factor", origin);
  rope.high_freq_factor = positive(json_number(source, "high_freq_factor", origin), "high_freq_factor", origin);
  if (rope.high_freq_factor <= rope.low_freq_factor)
    fail(ErrorKind::kBadFile, "{}: rope: expected high_freq_factor > low_freq_factor, got {} and {}", origin,
         rope.high_freq_factor, rope.low_freq_factor);
}

}  // namespace

RopeConfig parse_rope(const Json& config, int64_t context_length, const std::string& origin, double theta) {
  const std::vector<RopePlace> places = rope_places(config, origin);
  const RopeType& type = places.empty() ? rope_types().front() : type_of(places.front(), origin);
  const Json parameters = agreed_parameters(config, places, type, origin);
  RopeConfig rope;
  rope.kind = type.kind;
  rope.theta = positive(number_or(parameters, "rope_theta", theta, origin), "rope_theta", origin);
  if (rope.kind == RopeConfig::Kind::kDefault) return rope;
  rope.factor = positive(json_number(parameters, "factor", origin), "factor", origin);
  if (rope.kind == RopeConfig::Kind::kLinear) return rope;
  rope.original_context = json_find(parameters, "original_max_position_embeddings") != nullptr
                              ? json_int(parameters, "original_max_position_embeddings", origin, 1, kMaxContext)
                              : context_length;
  if (rope.kind == RopeConfig::Kind::kLlama3)
    parse_llama3(rope, parameters, origin);
  else
    parse_yarn(rope, parameters, origin);
  return rope;
}

}  // namespace vernier
