#include "plan/llama_cpp_mix.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/fail.h"
#include "vernier/scheme.h"

namespace vernier {

namespace {

/// Roles as llama-quantize tells them apart; a fused attn_qkv is a value to it.
enum class MixRole : uint8_t { kEmbedding, kOutput, kQuery, kKey, kValue, kAttnOutput, kGate, kUp, kDown };

/// Layers that a rule is for.
enum class MixLayers : uint8_t {
  kAll,
  kFirst2,
  kFirst4,
  kFirst16th,
  kFirst8th,
  kFirstDowns,  ///< so many matrices that lead down as are an eighth of the layers, which may have two of them
  kMiddle,      ///< all but the first and the last eighth
  kMoreBits     ///< the first and the last eighth and every third between
};

/// Models that a rule is for.
enum class MixWhen : uint8_t {
  kAlways,
  kGrouped,  ///< four or more queries per key
  kGroupedOrExperts,
  kImportance,
  kNoImportance,
  kMixtral,  ///< exactly eight experts
  kExpert    ///< its experts alone
};

struct MixRule {
  MixRole role;
  const char* scheme;
  MixLayers layers = MixLayers::kAll;
  MixWhen when = MixWhen::kAlways;
};

/// The first rule that applies decides, then `base`.
struct MixRow {
  const char* name;
  const char* base;
  std::vector<MixRule> rules;
  const char* output = "gguf:q6_k";
  /// Of a model of eight experts: attention's outputs where that is not q5_k; and that rules say more of it, instead of q8_0
  /// for values and keys.
  const char* mixtral_outputs = "gguf:q5_k";
  bool own_mixtral_rules = false;
};

/// The rules that the smallest mixes share.
std::vector<MixRule> two_bit_rules(const char* raised) {
  using enum MixRole;
  using enum MixLayers;
  using enum MixWhen;
  std::vector<MixRule> rules = {{kEmbedding, raised},
                                {kValue, "gguf:q4_k", kAll, kGroupedOrExperts},
                                {kValue, raised},
                                {kKey, "gguf:q4_k", kAll, kMixtral},
                                {kDown, raised, kFirstDowns},
                                {kAttnOutput, "gguf:q5_k", kAll, kMixtral}};
  if (std::string_view(raised) == "gguf:iq3_s") rules.push_back({kAttnOutput, raised});
  return rules;
}

const std::vector<MixRow>& mix_rows() {
  using enum MixRole;
  using enum MixLayers;
  using enum MixWhen;
  static const std::vector<MixRow> rows = {
      {.name = "q8_0", .base = "gguf:q8_0", .rules = {}, .output = "gguf:q8_0", .mixtral_outputs = "gguf:q8_0"},
      {.name = "q6_k", .base = "gguf:q6_k", .rules = {}, .mixtral_outputs = "gguf:q6_k"},
      {.name = "q5_1", .base = "gguf:q5_1", .rules = {}, .mixtral_outputs = "gguf:q5_1"},
      {.name = "q5_k_m",
       .base = "gguf:q5_k",
       .rules = {{kValue, "gguf:q6_k", kMoreBits}, {kDown, "gguf:q6_k", kMoreBits}},
       .mixtral_outputs = "gguf:q5_k"},
      {.name = "q5_k_s", .base = "gguf:q5_k", .rules = {}, .mixtral_outputs = "gguf:q5_k"},
      {.name = "q5_0",
       .base = "gguf:q5_0",
       .rules = {{kDown, "gguf:q5_1", kFirst8th, kImportance}},
       .mixtral_outputs = "gguf:q5_0"},
      {.name = "mxfp4_moe",
       .base = "gguf:q8_0",
       .rules = {{kGate, "gguf:mxfp4", kAll, kExpert},
                 {kUp, "gguf:mxfp4", kAll, kExpert},
                 {kDown, "gguf:mxfp4", kAll, kExpert}},
       .output = "gguf:q8_0",
       .own_mixtral_rules = true},
      {.name = "q4_1", .base = "gguf:q4_1", .rules = {}, .mixtral_outputs = "gguf:q4_1"},
      {.name = "q4_k_m",
       .base = "gguf:q4_k",
       .rules = {{kValue, "gguf:q6_k", kMoreBits}, {kDown, "gguf:q6_k", kMoreBits}}},
      {.name = "q4_k_s",
       .base = "gguf:q4_k",
       .rules = {{kValue, "gguf:q5_k", kFirst4}, {kDown, "gguf:q5_k", kFirst8th}}},
      {.name = "q4_0",
       .base = "gguf:q4_0",
       .rules = {{kDown, "gguf:q4_1", kFirst8th, kImportance}},
       .mixtral_outputs = "gguf:q4_0"},
      {.name = "iq4_nl",
       .base = "gguf:iq4_nl",
       .rules = {{kValue, "gguf:q5_k", kAll, kGrouped}, {kDown, "gguf:q5_k", kFirst8th, kNoImportance}}},
      {.name = "iq4_xs",
       .base = "gguf:iq4_xs",
       .rules = {{kValue, "gguf:q5_k", kAll, kGrouped}, {kDown, "gguf:q5_k", kFirst8th, kNoImportance}}},
      {.name = "q3_k_l",
       .base = "gguf:q3_k",
       .rules = {{kValue, "gguf:q5_k"}, {kDown, "gguf:q5_k"}, {kAttnOutput, "gguf:q5_k", kAll}},
       .mixtral_outputs = "gguf:q3_k"},
      {.name = "q3_k_m",
       .base = "gguf:q3_k",
       .rules = {{kValue, "gguf:q5_k", kFirst2},
                 {kValue, "gguf:q4_k"},
                 {kDown, "gguf:q5_k", kFirst16th},
                 {kDown, "gguf:q4_k"},
                 {kAttnOutput, "gguf:q4_k"}}},
      {.name = "iq3_m",
       .base = "gguf:iq3_s",
       .rules = {{kValue, "gguf:q4_k"},
                 {kDown, "gguf:q4_k", kFirst8th},
                 {kDown, "gguf:q4_k", kMoreBits, kMixtral},
                 {kAttnOutput, "gguf:q4_k"}}},
      {.name = "iq3_s", .base = "gguf:iq3_s", .rules = {{kValue, "gguf:q4_k", kAll, kGrouped}}},
      {.name = "q3_k_s", .base = "gguf:q3_k", .rules = {}},
      {.name = "iq3_xs",
       .base = "gguf:iq3_s",
       .rules = {{kValue, "gguf:q4_k", kAll, kGrouped},
                 {kQuery, "gguf:iq3_xxs"},
                 {kKey, "gguf:iq3_xxs"},
                 {kGate, "gguf:iq3_xxs", kMiddle},
                 {kUp, "gguf:iq3_xxs", kMiddle}}},
      {.name = "q2_k",
       .base = "gguf:q2_k",
       .rules = {{kValue, "gguf:q4_k", kAll, kGrouped},
                 {kValue, "gguf:q3_k"},
                 {kDown, "gguf:q3_k"},
                 {kAttnOutput, "gguf:q3_k"}}},
      {.name = "iq3_xxs",
       .base = "gguf:iq3_xxs",
       .rules = {{kEmbedding, "gguf:iq3_s"},
                 {kValue, "gguf:q4_k", kAll, kGrouped},
                 {kValue, "gguf:iq3_s", kAll, kNoImportance},
                 {kQuery, "gguf:iq2_s"},
                 {kKey, "gguf:iq2_s"},
                 {kDown, "gguf:q4_k", kFirst8th, kNoImportance},
                 {kDown, "gguf:q3_k", kAll, kNoImportance},
                 {kAttnOutput, "gguf:iq3_s"}},
       .output = "gguf:q5_k"},
      {.name = "q2_k_s",
       .base = "gguf:q2_k",
       .rules = {{kValue, "gguf:q4_k", kAll, kGrouped}, {kDown, "gguf:q4_k", kFirst8th}},
       .mixtral_outputs = "gguf:q2_k"},
      {.name = "iq2_m",
       .base = "gguf:iq2_s",
       .rules = two_bit_rules("gguf:iq3_s"),
       .output = "gguf:q5_k",
       .own_mixtral_rules = true},
      {.name = "iq2_s",
       .base = "gguf:iq2_xs",
       .rules = two_bit_rules("gguf:iq3_s"),
       .output = "gguf:q5_k",
       .own_mixtral_rules = true},
      {.name = "iq2_xs",
       .base = "gguf:iq2_xs",
       .rules = two_bit_rules("gguf:q2_k"),
       .output = "gguf:q5_k",
       .own_mixtral_rules = true},
      {.name = "iq2_xxs",
       .base = "gguf:iq2_xxs",
       .rules = two_bit_rules("gguf:q2_k"),
       .output = "gguf:q5_k",
       .own_mixtral_rules = true},
  };
  return rows;
}

const MixRow& find_mix(const std::string& name) {
  const auto& rows = mix_rows();
  const auto row = std::find_if(rows.begin(), rows.end(), [&](const MixRow& r) { return r.name == name; });
  if (row == rows.end())
    fail(ErrorKind::kInvalidArgument, "plan: \"{}\" is none of llama.cpp's mixes: {}", name.substr(0, 80),
         fmt::join(mix_names(), ", "));
  return *row;
}

std::optional<MixRole> mix_role(const TensorDamage& tensor, bool untied) {
  using enum MixRole;
  const bool fused = tensor.stored_in.find("attn_qkv") != std::string::npos;
  switch (tensor.role) {
    case TensorRole::kTokenEmbedding: return untied ? kEmbedding : kOutput;
    case TensorRole::kOutput: return kOutput;
    case TensorRole::kAttnQ: return fused ? kValue : kQuery;
    case TensorRole::kAttnK: return fused ? kValue : kKey;
    case TensorRole::kAttnV: return kValue;
    case TensorRole::kAttnOutput: return kAttnOutput;
    case TensorRole::kFfnGate:
    case TensorRole::kSharedGate: return kGate;
    case TensorRole::kFfnUp:
    case TensorRole::kSharedUp: return kUp;
    case TensorRole::kFfnDown:
    case TensorRole::kSharedDown: return kDown;
    default: return std::nullopt;
  }
}

/// The file's tensors of those that lead down, by layer and name: which one each is, from 0.
std::map<std::string, int64_t> numbered_downs(const std::vector<TensorDamage>& tensors) {
  std::set<std::pair<int64_t, std::string>> downs;
  for (const TensorDamage& tensor : tensors)
    if (mix_role(tensor, false) == MixRole::kDown) downs.emplace(tensor.layer, tensor.stored_in);
  std::map<std::string, int64_t> numbers;
  for (const auto& [layer, name] : downs) numbers.emplace(name, static_cast<int64_t>(numbers.size()));
  return numbers;
}

/// @param i the layer of n, @param down which of numbered_downs(), both from 0; all divisions cut off
bool is_for(MixLayers layers, int64_t i, int64_t down, int64_t n) {
  using enum MixLayers;
  switch (layers) {
    case kAll: return true;
    case kFirst2: return i < 2;
    case kFirst4: return i < 4;
    case kFirst16th: return i < n / 16;
    case kFirst8th: return i < n / 8;
    case kFirstDowns: return down < n / 8;
    case kMiddle: return i >= n / 8 && i < 7 * n / 8;
    case kMoreBits: return i < n / 8 || i >= 7 * n / 8 || (i - n / 8) % 3 == 2;
  }
  return false;
}

bool is_for(MixWhen when, const MixModel& model, const TensorDamage& tensor) {
  const bool grouped = model.heads / std::max<int64_t>(1, model.kv_heads) >= 4;
  using enum MixWhen;
  switch (when) {
    case kAlways: return true;
    case kGrouped: return grouped;
    case kGroupedOrExperts: return grouped || model.experts >= 4;
    case kImportance: return model.importance;
    case kNoImportance: return !model.importance;
    case kMixtral: return model.experts == 8;
    case kExpert: return tensor.expert >= 0 && model.experts > 1;  // by the stack's third dimension
  }
  return false;
}

std::string mix_scheme(const MixRow& row, const MixModel& model, MixRole role, const TensorDamage& tensor,
                       int64_t down) {
  if (role == MixRole::kOutput)  // where the mix's own blocks do not fit, llama.cpp does not look for others
    return Scheme::parse(row.base).why_not(tensor.rows, tensor.cols) ? "gguf:q8_0" : row.output;
  if (model.experts == 8 && !row.own_mixtral_rules) {
    if (role == MixRole::kValue || role == MixRole::kKey) return "gguf:q8_0";
    if (role == MixRole::kAttnOutput) return row.mixtral_outputs;
  }
  std::string scheme = row.base;
  for (const MixRule& rule : row.rules) {
    if (rule.role != role || !is_for(rule.layers, tensor.layer, down, model.layers) ||
        !is_for(rule.when, model, tensor))
      continue;
    scheme = rule.scheme;
    break;
  }
  const bool large = model.llama && model.layers == 80 && model.heads != model.kv_heads;  // Llama's 70B
  if (large && !row.own_mixtral_rules && role == MixRole::kValue && (scheme == "gguf:q3_k" || scheme == "gguf:q4_k"))
    return "gguf:q5_k";
  return scheme;
}

}  // namespace

std::vector<std::string> mix_names() {
  std::vector<std::string> names;
  for (const MixRow& row : mix_rows()) names.emplace_back(row.name);
  return names;
}

Plan mix_plan(const std::vector<TensorDamage>& tensors, const TargetRules& rules, const MixModel& model,
              const std::string& mix) {
  const MixRow& row = find_mix(mix);
  const bool untied = std::any_of(tensors.begin(), tensors.end(),
                                  [](const TensorDamage& tensor) { return tensor.role == TensorRole::kOutput; });
  Plan plan;
  plan.target = rules.target;
  plan.label = "llama.cpp's " + mix;
  plan.predicted_kl_nats = 0;
  const std::map<std::string, int64_t> downs = numbered_downs(tensors);
  std::map<std::string, int> fallbacks;  // where rows do not fit what llama-quantize would take
  for (const TensorDamage& tensor : tensors) {
    const std::optional<MixRole> role = mix_role(tensor, untied);
    const auto down = downs.find(tensor.stored_in);
    const std::string scheme =
        role ? mix_scheme(row, model, *role, tensor, down == downs.end() ? 0 : down->second) : row.base;
    PlanEntry entry = uniform_plan({tensor}, rules, scheme).entries[0];
    if (entry.reason == "uniform") entry.reason = mix + (scheme == row.base ? "" : "'s exception");
    plan.tensor_bytes += entry.bytes;
    plan.predicted_kl_nats += entry.damage;
    if (!entry.wanted.empty()) ++fallbacks[entry.scheme];
    plan.entries.push_back(std::move(entry));
  }
  for (const auto& [scheme, count] : fallbacks)
    plan.label += fmt::format(", {} of {} as {}", count, tensors.size(), scheme);
  return plan;
}

}  // namespace vernier
