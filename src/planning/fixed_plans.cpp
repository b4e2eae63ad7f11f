// Plans that nothing is measured for: one scheme, the mixes of llama.cpp, and the model as it is.

#include "vernier/planning.h"

#include <algorithm>

#include "model/language_model.h"
#include "plan/llama_cpp_mix.h"
#include "plan/make_plan.h"
#include "planning/tensor_damages.h"

namespace vernier {

Plan plan_uniform(const Model& model, const std::string& scheme, const std::string& target) {
  const Target& row = find_target(target);
  return uniform_plan(shapes_of(model, row), row.rules, scheme);
}

std::vector<std::string> preset_names() { return mix_names(); }

Plan plan_preset(const Model& model, const std::string& preset, const std::string& target) {
  const Target& row = find_target(target);
  const ModelConfig& config = model.config();
  require_language_model(config, model.source().name, "plan: a mix of llama.cpp");
  const AttentionConfig& attention = config.layer(0).attention;
  int64_t experts = 0;
  for (const LayerConfig& layer : config.layers) experts = std::max(experts, layer.feed_forward.experts.count);
  return mix_plan(shapes_of(model, row), row.rules,
                  {.layers = config.depth(),
                   .heads = attention.heads,
                   .kv_heads = attention.kv_heads,
                   .experts = experts,
                   .llama = config.family == "llama"},
                  preset);
}

double bits_per_weight(uint64_t file_bytes, const Model& model) {
  return 8.0 * static_cast<double>(file_bytes) / static_cast<double>(model.parameters());
}

Plan plan_as_stored(const Model& model, const std::string& label, const std::string& target) {
  Plan plan;
  plan.target = target;
  plan.label = label;
  const Target& row = find_target(target);
  for (const TensorDamage& tensor : shapes_of(model, row)) {
    plan.entries.push_back(uniform_plan({tensor}, row.rules, tensor.stored_scheme).entries[0]);
    plan.entries.back().reason = "as it is stored";
    plan.tensor_bytes += plan.entries.back().bytes;
  }
  return plan;
}

}  // namespace vernier
