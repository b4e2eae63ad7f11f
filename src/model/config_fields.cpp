#include <fmt/ranges.h>

#include <type_traits>
#include <utility>

#include "vernier/model_config.h"

namespace vernier {

namespace {

/// Fields are taken apart by structured bindings, so that one added to a struct and forgotten here does not compile.
class Fields {
 public:
  template <class T>
  void add(const char* name, const T& value) {
    if constexpr (std::is_enum_v<T>)
      fields_.push_back({prefix_ + name, static_cast<int64_t>(value)});
    else
      fields_.push_back({prefix_ + name, value});
  }
  template <class Fn>
  void inside(const std::string& prefix, Fn&& fn) {
    const std::string outer = std::exchange(prefix_, prefix_ + prefix + ".");
    fn();
    prefix_ = outer;
  }
  std::vector<ConfigField> take() { return std::move(fields_); }

 private:
  std::string prefix_;
  std::vector<ConfigField> fields_;
};

/// Enumerators in the words of a reader.
const char* word(RopeConfig::Kind kind) {
  constexpr const char* kWords[] = {"default", "linear", "llama3", "yarn", "factors"};
  return kWords[static_cast<int>(kind)];
}
const char* word(NormConfig::Kind kind) { return kind == NormConfig::Kind::kRms ? "rms" : "layer"; }
const char* word(AttentionConfig::QkNorm norm) {
  constexpr const char* kWords[] = {"none", "head", "all_heads"};
  return kWords[static_cast<int>(norm)];
}
const char* word(Activation activation) {
  constexpr const char* kWords[] = {"silu", "gelu", "gelu_tanh", "relu", "quick_gelu"};
  return kWords[static_cast<int>(activation)];
}

const char* word(ReadOutConfig::Row row) {
  constexpr const char* kWords[] = {"every", "first", "end"};
  return kWords[static_cast<int>(row)];
}
const char* word(Stack stack) {
  constexpr const char* kWords[] = {"only", "image", "text"};
  return kWords[static_cast<int>(stack)];
}

void add(Fields& f, const NormConfig& norm) {
  const auto& [kind, epsilon, bias] = norm;
  f.add("kind", std::string(word(kind)));
  f.add("epsilon", epsilon);
  f.add("bias", bias);
}

void add(Fields& f, const RopeConfig& rope) {
  const auto& [kind, theta, factor, original_context, low, high, fast, slow, truncate, factors, attention] = rope;
  f.add("type", std::string(word(kind)));
  f.add("theta", theta);
  f.add("factor", factor);
  f.add("original_context", original_context);
  f.add("low_freq_factor", low);
  f.add("high_freq_factor", high);
  f.add("beta_fast", fast);
  f.add("beta_slow", slow);
  f.add("truncate", truncate);
  f.add("factors", fmt::format("{}", fmt::join(factors, " ")));
  f.add("attention_factor", attention);
}

void add(Fields& f, const AttentionConfig& attention) {
  const auto& [heads, kv_heads, head_dim, qkv_bias, output_bias, qk_norm, rotary, causal, window, scale, cap, sinks] =
      attention;
  f.add("heads", heads);
  f.add("kv_heads", kv_heads);
  f.add("head_dim", head_dim);
  f.add("qkv_bias", qkv_bias);
  f.add("output_bias", output_bias);
  f.add("qk_norm", std::string(word(qk_norm)));
  f.add("rotary", rotary);
  f.add("causal", causal);
  f.add("window", window);
  f.add("scale", scale);
  f.add("soft_cap", cap);
  f.add("sinks", sinks);
}

void add(Fields& f, const ExpertsConfig& experts) {
  const auto& [count, used, normalize, shared_intermediate, shared_switch] = experts;
  f.add("count", count);
  f.add("used", used);
  f.add("normalize", normalize);
  f.add("shared_intermediate", shared_intermediate);
  f.add("shared_switch", shared_switch);
}

void add(Fields& f, const FeedForwardConfig& ffn) {
  const auto& [gated, activation, intermediate, bias, experts] = ffn;
  f.add("gated", gated);
  f.add("activation", std::string(word(activation)));
  f.add("intermediate", intermediate);
  f.add("bias", bias);
  f.inside("experts", [&, &experts = experts] { add(f, experts); });
}

void add(Fields& f, const PatchConfig& patches) {
  const auto& [image_size, patch_size, channels, bias, distillation_token] = patches;
  f.add("image_size", image_size);
  f.add("patch_size", patch_size);
  f.add("channels", channels);
  f.add("bias", bias);
  f.add("distillation_token", distillation_token);
}

void add(Fields& f, const ReadOutConfig& read_out) {
  const auto& [row, end_token, classes, distilled, projection] = read_out;
  f.add("row", std::string(word(row)));
  f.add("end_token", end_token);
  f.add("classes", classes);
  f.add("distilled", distilled);
  f.add("projection", projection);
}

}  // namespace

std::vector<ConfigField> fields_of(const LayerConfig& layer) {
  const auto& [norm, pre_norm, post_norm, attention, feed_forward, parallel, shared_norm] = layer;
  Fields f;
  f.inside("norm", [&, &norm = norm] { add(f, norm); });
  f.add("pre_norm", pre_norm);
  f.add("post_norm", post_norm);
  f.inside("attention", [&, &attention = attention] { add(f, attention); });
  f.inside("feed_forward", [&, &feed_forward = feed_forward] { add(f, feed_forward); });
  f.add("parallel", parallel);
  f.add("shared_norm", shared_norm);
  return f.take();
}

namespace {

/// What only models that see or answer for whole inputs have.
std::vector<ConfigField> vision_fields_of(const ModelConfig& config) {
  Fields f;
  f.inside("patches", [&] { add(f, config.patches); });
  f.add("input_norm", config.input_norm);
  f.inside("read_out", [&] { add(f, config.read_out); });
  f.add("stack", std::string(word(config.stack)));
  f.add("stacks", static_cast<int64_t>(config.stacks.size()));  // each a configuration of its own
  return f.take();
}

}  // namespace

std::vector<ConfigField> fields_of(const ModelConfig& config) {
  const auto& [family, vocabulary, hidden, context, positions, scale, output_norm, cap, tied, rope, window_rope, layers,
               patches, input_norm, read_out, stack, stacks] = config;  // the last five: vision_fields_of
  Fields f;
  f.add("family", family);
  f.add("layers", static_cast<int64_t>(layers.size()));  // each described by fields_of(layer)
  f.add("vocabulary", vocabulary);
  f.add("hidden", hidden);
  f.add("context_length", context);
  f.add("positions", positions);
  f.add("embedding_scale", scale);
  f.inside("output_norm", [&, &output_norm = output_norm] { add(f, output_norm); });
  f.add("logit_soft_cap", cap);
  f.add("tied_embedding", tied);
  f.inside("rope", [&, &rope = rope] { add(f, rope); });
  if (window_rope) f.inside("window_rope", [&, &own = *window_rope] { add(f, own); });
  std::vector<ConfigField> all = f.take();
  // Left out where it says nothing: models whose hashes are older than these fields keep them.
  static const std::vector<ConfigField> nothing = vision_fields_of(ModelConfig());
  if (const std::vector<ConfigField> more = vision_fields_of(config); more != nothing)
    all.insert(all.end(), more.begin(), more.end());
  return all;
}

std::string text_of(const ConfigField& field) {
  return std::visit([](const auto& value) { return fmt::format("{}", value); }, field.value);
}

bool operator==(const LayerConfig& a, const LayerConfig& b) { return fields_of(a) == fields_of(b); }
bool operator==(const ModelConfig& a, const ModelConfig& b) {
  return fields_of(a) == fields_of(b) && a.layers == b.layers && a.stacks == b.stacks;
}

const ModelConfig* ModelConfig::find_stack(Stack which) const {
  if (which == stack) return this;
  for (const ModelConfig& one : stacks)
    if (one.stack == which) return &one;
  return nullptr;
}

}  // namespace vernier
