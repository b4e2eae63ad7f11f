#include "model/architectures/experts.h"

#include <set>

#include "base/fail.h"

namespace vernier {

namespace {

constexpr int64_t kMostExperts = 1 << 18;  // of all layers; a tensor is expected for each of their matrices

void check_count(int64_t count, const std::string& origin, const ModelConfig& config) {
  if (count > kMostExperts / config.depth())
    fail(ErrorKind::kBadFile, "{}: {} layers of {} experts: expected at most {} experts in all", origin, config.depth(),
         count, kMostExperts);
}

std::set<int64_t> read_dense_layers(const ConfigFile& file, int64_t depth) {
  std::set<int64_t> dense;
  const Json* list = file.find("mlp_only_layers");
  if (list == nullptr) return dense;
  if (!list->is_array() || list->size() > static_cast<size_t>(depth))
    fail(ErrorKind::kBadFile, "{}: mlp_only_layers: expected a list of layers", file.origin());
  for (const Json& layer : *list) {
    if (!layer.is_number_integer() || layer < 0 || layer >= depth)
      fail(ErrorKind::kBadFile, "{}: mlp_only_layers: expected layers below {}, got {}", file.origin(), depth,
           layer.dump());
    dense.insert(layer.get<int64_t>());
  }
  return dense;
}

}  // namespace

void set_experts(const ExpertsConfig& experts, const std::string& origin, ModelConfig& config) {
  check_count(experts.count, origin, config);
  for (LayerConfig& layer : config.layers) layer.feed_forward.experts = experts;
}

ForeignKeys expert_keys() { return {nullptr, {}, {"num_experts", "num_local_experts", "mlp_only_layers"}}; }

ExpertsConfig read_experts(const ConfigFile& file, int64_t count, int64_t used) {
  // transformers 5 writes num_local_experts for num_experts.
  const char* count_key = file.find("num_experts") != nullptr ? "num_experts" : "num_local_experts";
  ExpertsConfig experts;
  experts.count = file.integer_or(count_key, count, 0, kMaxDimension);
  if (experts.count == 0) return experts;
  experts.used = file.integer_or("num_experts_per_tok", used, 1, experts.count);
  experts.normalize = file.flag("norm_topk_prob", false);
  return experts;
}

void read_sparse_layers(const ConfigFile& file, const SparseDefaults& defaults, ModelConfig& config) {
  ExpertsConfig experts = read_experts(file, defaults.count, defaults.used);
  if (experts.count == 0) return;
  if (defaults.shared_intermediate > 0) {
    experts.shared_intermediate =
        file.integer_or("shared_expert_intermediate_size", defaults.shared_intermediate, 1, kMaxDimension);
    experts.shared_switch = true;
  }
  const int64_t intermediate = file.integer_or("moe_intermediate_size", defaults.intermediate, 1, kMaxDimension);
  const int64_t step = file.integer_or("decoder_sparse_step", 1, 1, kMaxLayers);
  const std::set<int64_t> dense = read_dense_layers(file, config.depth());
  check_count(experts.count, file.origin(), config);
  for (int64_t i = 0; i < config.depth(); ++i) {
    if ((i + 1) % step != 0 || dense.contains(i)) continue;
    FeedForwardConfig& feed_forward = config.layers[static_cast<size_t>(i)].feed_forward;
    feed_forward.intermediate = intermediate;
    feed_forward.experts = experts;
  }
}

void read_gguf_experts(const GgufFile& file, bool normalize, ModelConfig& config) {
  const std::string prefix = file.get_string("general.architecture") + ".expert_";
  ExpertsConfig experts;
  experts.count = file.get_int(prefix + "count", 1, kMaxDimension);
  experts.used = file.get_int(prefix + "used_count", 1, experts.count);
  experts.normalize = normalize;
  const int64_t dense = config.layer(0).feed_forward.intermediate;
  if (file.find_tensor("blk.0.ffn_gate_shexp.weight") != nullptr) {
    const std::string key = prefix + "shared_feed_forward_length";
    experts.shared_intermediate = file.find(key) == nullptr ? dense : file.get_int(key, 1, kMaxDimension);
    experts.shared_switch = file.find_tensor("blk.0.ffn_gate_inp_shexp.weight") != nullptr;
  }
  // Files of before the key have it in feed_forward_length, or its product with the experts that a token takes: the tensors
  // decide.
  const GgufTensor* gate = file.find_tensor("blk.0.ffn_gate_exps.weight");
  const std::string key = prefix + "feed_forward_length";
  int64_t intermediate = dense;
  if (file.find(key) != nullptr)
    intermediate = file.get_int(key, 1, kMaxDimension);
  else if (gate != nullptr && gate->shape.size() == 3)
    intermediate = gate->shape[1];
  set_experts(experts, "load: " + file.path().string(), config);
  for (LayerConfig& layer : config.layers) layer.feed_forward.intermediate = intermediate;
}

std::optional<std::string> why_not_gguf_experts(const ModelConfig& config, bool normalize) {
  for (int i = 0; i < config.depth(); ++i) {
    const ExpertsConfig& experts = config.layer(i).feed_forward.experts;
    if (experts.count == 0)
      return fmt::format("layer {} has no experts: llama.cpp's {} expects them in every layer", i, config.family);
    if (experts.normalize != normalize)
      return fmt::format(
          "norm_topk_prob is {}: llama.cpp's {} {} the shares of the experts that a token takes by their sum",
          experts.normalize, config.family, normalize ? "always divides" : "never divides");
  }
  return std::nullopt;
}

}  // namespace vernier
