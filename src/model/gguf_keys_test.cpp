// A GGUF file's metadata: what is read, and what is refused because ignoring it would make every number wrong.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "format/format_test_util.h"
#include "format/gguf_file.h"
#include "format/gguf_writer.h"
#include "model/config.h"
#include "support/models.h"
#include "vernier/blueprint.h"

namespace vernier {
namespace {

constexpr uint32_t kLayers = 3;

class GgufKeys : public FormatTest {
 protected:
  /// A llama of three small layers, all zeros.
  GgufKeys() {
    values_ = {{"general.architecture", std::string("llama")},   {"llama.context_length", uint32_t{512}},
               {"llama.embedding_length", uint32_t{32}},         {"llama.block_count", kLayers},
               {"llama.feed_forward_length", uint32_t{64}},      {"llama.attention.head_count", uint32_t{2}},
               {"llama.attention.layer_norm_rms_epsilon", 1e-5f}};
  }

  ModelConfig read() const {
    GgufWriter writer;
    for (const auto& [key, value] : values_) writer.set(key, value);
    LayerConfig layer;
    layer.attention.heads = layer.attention.kv_heads = 2, layer.attention.head_dim = 16;
    layer.feed_forward.intermediate = 64;
    ModelConfig config;
    config.family = "llama", config.hidden = 32, config.vocabulary = 8, config.tied_embedding = true;
    config.layers.assign(kLayers, layer);
    std::vector<int64_t> sizes;
    const auto add = [&](const std::string& name, const std::vector<int64_t>& shape) {
      writer.add_tensor(name, kGgmlF32, shape);
      int64_t count = 1;
      for (const int64_t n : shape) count *= n;
      sizes.push_back(count);
    };
    const Blueprint blueprint(config);
    for (const TensorSpec& spec : blueprint.tensors()) add(spec.gguf.name, spec.shape);
    if (rope_freqs_) add("rope_freqs.weight", {8});
    writer.write(folder_ / "model.gguf", [&](size_t index, const ByteSink& append) {
      const std::vector<float> ones(static_cast<size_t>(sizes[index]), 1.0f);
      append(std::as_bytes(std::span(ones)));
    });
    return load_model((folder_ / "model.gguf").string()).config();
  }

  ModelConfig read_with(const std::string& key, const GgufValue& value) {
    const auto before = values_;
    values_[key] = value;
    struct Restore {
      std::map<std::string, GgufValue>& values;
      const std::map<std::string, GgufValue>& before;
      ~Restore() { values = before; }
    } restore{values_, before};
    return read();
  }

  void expect_refused(ErrorKind kind, const std::vector<std::string>& parts, const std::string& key,
                      const GgufValue& value) {
    expect_error(kind, parts, [&] { read_with(key, value); });
  }

  /// What the keys say of another architecture, with more keys of its own; no tensor but the embedding.
  ModelConfig read_as(const std::string& architecture, const std::map<std::string, GgufValue>& more) const {
    GgufWriter writer;
    writer.set("general.architecture", architecture);
    for (const auto& [key, value] : values_)
      if (key.starts_with("llama.")) writer.set(architecture + key.substr(5), value);
    for (const auto& [key, value] : more) writer.set(fmt::format("{}.{}", architecture, key), value);
    writer.add_tensor("token_embd.weight", kGgmlF32, {8, 32});
    writer.write(folder_ / "other.gguf", [](size_t, const ByteSink& append) {
      const std::vector<float> zeros(8 * 32);
      append(std::as_bytes(std::span(zeros)));
    });
    return read_gguf_config(GgufFile(folder_ / "other.gguf"));
  }

  std::map<std::string, GgufValue> values_;
  bool rope_freqs_ = false;
};

struct ForeignGgufKeys {
  const char* key;
  GgufValue refused;
  GgufValue passed;
};

TEST_F(GgufKeys, ForeignOnesPassWithANeutralValueOnly) {
  const std::vector<ForeignGgufKeys> cases = {
      {"attn_logit_softcapping", 50.0f, 0.0f},
      {"final_logit_softcapping", 30.0f, 0.0f},
      {"logit_scale", 0.0625f, 1.0f},
      {"embedding_scale", 12.0f, 1.0f},
      {"residual_scale", 0.22f, 0.0f},
      {"attention.scale", 0.0078125f, 0.25f},
      {"attention.clamp_kqv", 8.0f, 0.0f},
      {"attention.causal", false, true},
      {"attention.value_length", uint32_t{8}, uint32_t{16}},
      {"expert_shared_count", uint32_t{1}, uint32_t{0}},
      {"rope.dimension_sections", std::vector<int32_t>{2, 3, 3, 0}, std::vector<int32_t>{0, 0, 0, 0}},
      {"rope.freq_base_swa", 1e6f, 10000.0f},
      {"rope.scaling.alpha", 1000.0f, 1.0f},
      {"attention.output_scale", 2.0f, 0.0f},
      {"use_parallel_residual", true, false},
      {"rope.scaling.yarn_log_multiplier", 0.1f, 0.0f},
      {"rope.scaling.yarn_ext_factor", 0.5f, 1.0f},
      {"rope.scaling.yarn_beta_fast", 16.0f, 32.0f},
  };
  for (const ForeignGgufKeys& c : cases) {
    const std::string key = std::string("llama.") + c.key;
    expect_refused(ErrorKind::kUnsupported, {"load: ", "model.gguf", key}, key, c.refused);
    EXPECT_NO_THROW(read_with(key, c.passed)) << key;
  }
  EXPECT_EQ(read_with("llama.attention.sliding_window", uint32_t{16}).layer(0).attention.window, 0) << "as llama.cpp";
}

TEST_F(GgufKeys, RopeScalingIsReadAsLlamaCppDoes) {
  EXPECT_EQ(read().rope.kind, RopeConfig::Kind::kDefault);
  const RopeConfig untyped = read_with("llama.rope.scaling.factor", 4.0f).rope;
  EXPECT_EQ(untyped.kind, RopeConfig::Kind::kLinear) << "a factor without a type is linear";
  EXPECT_EQ(untyped.factor, 4);
  EXPECT_EQ(read_with("llama.rope.scale_linear", 2.0f).rope.factor, 2) << "the name of old files";
  expect_refused(ErrorKind::kUnsupported, {"llama.rope.scaling.attn_factor", "2", "linear"},
                 "llama.rope.scaling.attn_factor", 2.0f);
  expect_refused(ErrorKind::kUnsupported, {"llama.rope.scaling.short_factor"}, "llama.rope.scaling.short_factor", 2.0f);
  expect_refused(ErrorKind::kUnsupported, {"\"llama.rope.pattern\" is 3", "not known"}, "llama.rope.pattern",
                 uint32_t{3});
  values_["llama.rope.scaling.factor"] = 4.0f;
  EXPECT_EQ(read_with("llama.rope.scaling.type", std::string("none")).rope.kind, RopeConfig::Kind::kDefault);
  expect_refused(ErrorKind::kUnsupported, {"rope scaling \"longrope\""}, "llama.rope.scaling.type",
                 std::string("longrope"));
  const RopeConfig yarn = read_with("llama.rope.scaling.type", std::string("yarn")).rope;
  EXPECT_EQ(yarn.kind, RopeConfig::Kind::kYarn);
  EXPECT_EQ(yarn.original_context, 512) << "the context length where the file does not say";
  rope_freqs_ = true;
  expect_error(ErrorKind::kUnsupported, {"rope_freqs.weight", "\"linear\""}, [&] { read(); });
  values_.erase("llama.rope.scaling.factor");
  EXPECT_EQ(read().rope.kind, RopeConfig::Kind::kFactors);
}

TEST_F(GgufKeys, ValuesInMessagesAreShortAndPrintable) {
  expect_refused(ErrorKind::kUnsupported, {"llama.rope.kind", "..."}, "llama.rope.kind", std::string(1000, 'x'));
  expect_refused(ErrorKind::kUnsupported, {"llama.rope.kind", "ufffd"}, "llama.rope.kind", std::string("\xFF"));
}

TEST_F(GgufKeys, NumbersPerLayerMustBeEqual) {
  const auto array = [](uint32_t a, uint32_t b, uint32_t c) { return std::vector<uint32_t>{a, b, c}; };
  EXPECT_EQ(read_with("llama.attention.head_count", array(2, 2, 2)).layer(0).attention.heads, 2);
  EXPECT_EQ(read_with("llama.attention.head_count_kv", array(2, 2, 2)).layer(0).attention.kv_heads, 2);
  EXPECT_EQ(read_with("llama.feed_forward_length", array(64, 64, 64)).layer(0).feed_forward.intermediate, 64);
  expect_refused(ErrorKind::kUnsupported, {"llama.attention.head_count_kv", "layer 1 has 1", "layer 0 has 2"},
                 "llama.attention.head_count_kv", array(2, 1, 2));
  expect_refused(ErrorKind::kUnsupported, {"llama.feed_forward_length", "layer 2 has 32"}, "llama.feed_forward_length",
                 array(64, 64, 32));
  expect_refused(ErrorKind::kBadFile, {"llama.attention.head_count", "one per layer", "got 2"},
                 "llama.attention.head_count", std::vector<uint32_t>{2, 2});
  expect_refused(ErrorKind::kBadFile, {"llama.attention.head_count_kv", "at least 1"}, "llama.attention.head_count_kv",
                 uint32_t{0});
}

TEST_F(GgufKeys, Olmo2WithAWindowIsOlmo3) {
  values_["llama.block_count"] = uint32_t{5};
  const ModelConfig plain = read_as("olmo2", {{"attention.sliding_window", uint32_t{0}}});
  EXPECT_EQ(plain.family, "olmo2");
  EXPECT_EQ(plain.layer(0).attention.qk_norm, AttentionConfig::QkNorm::kAllHeads);
  const ModelConfig windows = read_as("olmo2", {{"attention.sliding_window", uint32_t{9}},
                                                {"rope.scaling.type", std::string("yarn")},
                                                {"rope.scaling.factor", 4.0f},
                                                {"rope.scaling.original_context_length", uint32_t{32}}});
  EXPECT_EQ(windows.family, "olmo3");
  for (int layer = 0; layer < 5; ++layer) EXPECT_EQ(windows.layer(layer).attention.window, layer == 3 ? 0 : 9);
  EXPECT_EQ(windows.rope.kind, RopeConfig::Kind::kYarn);
  EXPECT_NO_THROW(
      read_as("olmo2", {{"attention.sliding_window", uint32_t{9}}, {"rope.scaling.yarn_attn_factor", 1.2f}}))
      << "converters write it, and only grok's code reads it";
  EXPECT_EQ(windows.window_rope->kind, RopeConfig::Kind::kDefault) << "what bends the others does not bend these";
  EXPECT_EQ(windows.window_rope->theta, windows.rope.theta);
}

TEST_F(GgufKeys, EveryFourthLayerOfSmolLm3IsNotRotated) {
  values_["llama.block_count"] = uint32_t{5};
  const ModelConfig config = read_as("smollm3", {});
  for (int layer = 0; layer < 5; ++layer) EXPECT_EQ(config.layer(layer).attention.rotary, layer != 3);
}

TEST_F(GgufKeys, ExpertsAreAsLargeAsTheKeysSay) {
  const std::map<std::string, GgufValue> experts = {{"expert_count", uint32_t{6}}, {"expert_used_count", uint32_t{2}}};
  std::map<std::string, GgufValue> sized = experts;
  sized["expert_feed_forward_length"] = uint32_t{24};
  for (const char* architecture : {"qwen2moe", "qwen3moe", "olmoe"}) {
    const FeedForwardConfig found = read_as(architecture, sized).layer(1).feed_forward;
    EXPECT_EQ(found.experts.count, 6);
    EXPECT_EQ(found.experts.used, 2);
    EXPECT_EQ(found.intermediate, 24);
    EXPECT_EQ(found.experts.normalize, architecture == std::string("qwen3moe"));
  }
  EXPECT_EQ(read_as("olmoe", experts).layer(0).feed_forward.intermediate, 64) << "feed_forward_length";
  sized["expert_used_count"] = uint32_t{7};
  expect_error(ErrorKind::kBadFile, {"qwen3moe.expert_used_count"}, [&] { read_as("qwen3moe", sized); });
}

TEST_F(GgufKeys, Gemma3SlidesInAllLayersButEverySixthUnlessItSaysOtherwise) {
  values_["llama.block_count"] = uint32_t{7};
  const auto read_gemma = [&](const std::map<std::string, GgufValue>& more) { return read_as("gemma3", more); };
  const auto windows = [](const ModelConfig& config) {
    std::vector<int64_t> all;
    for (const LayerConfig& layer : config.layers) all.push_back(layer.attention.window);
    return all;
  };
  using Windows = std::vector<int64_t>;
  const ModelConfig none = read_gemma({{"attention.sliding_window", uint32_t{0}}});
  EXPECT_EQ(windows(none), Windows(7, 0));
  EXPECT_FALSE(none.window_rope.has_value());
  EXPECT_FLOAT_EQ(static_cast<float>(none.embedding_scale), std::sqrt(32.0f));
  const ModelConfig every_sixth = read_gemma({{"attention.sliding_window", uint32_t{9}}});
  EXPECT_EQ(windows(every_sixth), (Windows{9, 9, 9, 9, 9, 0, 9}));
  EXPECT_EQ(every_sixth.window_rope->theta, 1e4);
  const ModelConfig third = read_gemma({{"attention.sliding_window", uint32_t{9}},
                                        {"attention.sliding_window_pattern", uint32_t{3}},
                                        {"rope.freq_base_swa", 5e5f}});
  EXPECT_EQ(windows(third), (Windows{9, 9, 0, 9, 9, 0, 9}));
  EXPECT_EQ(third.window_rope->theta, 5e5);
  const std::vector<bool> slides{false, true, true, false, false, true, false};
  EXPECT_EQ(
      windows(read_gemma({{"attention.sliding_window", uint32_t{9}}, {"attention.sliding_window_pattern", slides}})),
      (Windows{0, 9, 9, 0, 0, 9, 0}));
  expect_error(ErrorKind::kBadFile, {"sliding_window_pattern", "7 entries", "got 2"}, [&] {
    read_gemma({{"attention.sliding_window", uint32_t{9}},
                {"attention.sliding_window_pattern", std::vector<bool>{true, false}}});
  });
  expect_error(ErrorKind::kUnsupported, {"final_logit_softcapping", "gemma3"}, [&] {
    read_gemma({{"final_logit_softcapping", 30.0f}});
  });
  values_["llama.block_count"] = uint32_t{62};  // Gemma 3 27B
  EXPECT_DOUBLE_EQ(read_gemma({{"attention.key_length", uint32_t{32}}}).layer(61).attention.scale, 0.25)
      << "of 32 channels and 2 heads, whatever their size";
}

TEST_F(GgufKeys, OtherNormsAndOtherFilesAreNamed) {
  expect_refused(ErrorKind::kUnsupported, {"general.type", "adapter"}, "general.type", std::string("adapter"));
  EXPECT_NO_THROW(read_with("general.type", std::string("model")));
  values_.erase("llama.attention.layer_norm_rms_epsilon");
  expect_refused(ErrorKind::kUnsupported, {"llama.attention.layer_norm_epsilon", "RMSNorm"},
                 "llama.attention.layer_norm_epsilon", 1e-5f);
}

}  // namespace
}  // namespace vernier
