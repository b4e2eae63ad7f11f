// config.json: what is read from where, and what is refused because ignoring it would make every number wrong.

#include "model/config.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "format/format_test_util.h"
#include "model/architecture.h"
#include "support/models.h"

namespace vernier {
namespace {

Json config_of(const std::string& name) {
  return read_json(source_dir() / "tests/fixtures/models" / name / "config.json");
}

ModelConfig parse(const Json& json) { return parse_config(json, "config.json"); }

void expect_refused(ErrorKind kind, const std::vector<std::string>& parts, const Json& json) {
  expect_error(kind, parts, [&] { parse(json); });
}

/// `base` with `key` set to `value`.
Json with(Json base, const char* key, const Json& value) {
  base[key] = value;
  return base;
}

TEST(Config, TheFixturesAreRead) {
  namespace fs = std::filesystem;
  int read = 0;
  for (const fs::path& root : {source_dir() / "tests/fixtures/models", source_dir() / "models"})
    for (const auto& entry : fs::directory_iterator(root)) {
      if (!fs::exists(entry.path() / "config.json")) continue;
      EXPECT_NO_THROW(parse_config(read_json(entry.path() / "config.json"), entry.path().string()));
      ++read;
    }
  EXPECT_GE(read, 8) << "seven fixtures and a model";
}

TEST(RopeParameters, ThetaIsReadWhereverItIs) {
  Json json = config_of("llama");
  json.erase("rope_parameters");
  EXPECT_EQ(parse(json).rope.theta, 10000);
  EXPECT_EQ(parse(with(json, "rope_theta", 5e5)).rope.theta, 5e5);
  EXPECT_EQ(parse(with(json, "rope_parameters", {{"rope_theta", 5e5}})).rope.theta, 5e5);
  EXPECT_EQ(parse(with(json, "rope_scaling", {{"rope_theta", 5e5}, {"type", "linear"}, {"factor", 2}})).rope.theta,
            5e5);
  Json both = with(json, "rope_scaling", {{"rope_theta", 5e5}, {"rope_type", "default"}});
  EXPECT_EQ(parse(with(both, "rope_theta", 500000)).rope.theta, 5e5) << "the same number twice";
  expect_refused(ErrorKind::kBadFile, {"rope_theta", "500000.0 in rope_scaling", "10000 in the configuration"},
                 with(both, "rope_theta", 10000));
}

TEST(RopeParameters, TwoObjectsMustAgree) {
  Json json = config_of("llama");
  json["rope_parameters"] = {{"rope_type", "linear"}, {"factor", 2}, {"rope_theta", 10000}};
  EXPECT_EQ(parse(with(json, "rope_scaling", {{"type", "linear"}, {"factor", 2.0}})).rope.factor, 2);
  EXPECT_EQ(parse(with(json, "rope_scaling", Json::object())).rope.factor, 2);
  EXPECT_EQ(parse(with(json, "rope_scaling", nullptr)).rope.factor, 2);
  expect_refused(ErrorKind::kBadFile, {"\"factor\" is 2 in rope_parameters and 4 in rope_scaling"},
                 with(json, "rope_scaling", {{"type", "linear"}, {"factor", 4}}));
  expect_refused(ErrorKind::kBadFile, {"\"linear\"", "\"llama3\""},
                 with(json, "rope_scaling", {{"type", "llama3"}, {"factor", 2}}));
  expect_refused(ErrorKind::kBadFile, {"rope_scaling", "rope_type is \"linear\"", "type is \"yarn\""},
                 with(json, "rope_scaling", {{"type", "yarn"}, {"rope_type", "linear"}, {"factor", 2}}));
  Json yarn = config_of("rope_yarn");
  Json scaling = yarn["rope_parameters"];
  scaling["beta_fast"] = 16;
  expect_refused(ErrorKind::kBadFile, {"rope_parameters and rope_scaling", "beta_fast"},
                 with(yarn, "rope_scaling", scaling));
}

TEST(RopeParameters, TheTrainedContextMayStandOutside) {
  Json json = config_of("rope_yarn");
  json["rope_parameters"].erase("original_max_position_embeddings");
  EXPECT_EQ(parse(json).rope.original_context, 512) << "max_position_embeddings";
  EXPECT_EQ(parse(with(json, "original_max_position_embeddings", 32)).rope.original_context, 32);
  json["rope_parameters"]["original_max_position_embeddings"] = 64;
  expect_refused(ErrorKind::kBadFile, {"original_max_position_embeddings", "64", "32"},
                 with(json, "original_max_position_embeddings", 32));
}

TEST(RopeParameters, AKeyThatIsNotKnownForItsTypeIsRefused) {
  const auto rope = [](const char* fixture, const char* key, const Json& value) {
    Json json = config_of(fixture);
    json["rope_parameters"][key] = value;
    return json;
  };
  expect_refused(ErrorKind::kUnsupported, {"rope_parameters", "\"mrope_section\" is [16,24,24]", "\"default\""},
                 rope("llama", "mrope_section", {16, 24, 24}));
  expect_refused(ErrorKind::kUnsupported, {"\"factor\" is 4", "\"default\""}, rope("llama", "factor", 4));
  expect_refused(ErrorKind::kUnsupported, {"\"beta_fast\" is 32", "\"llama3\""},
                 rope("llama3_rope_tied", "beta_fast", 32));
  expect_refused(ErrorKind::kUnsupported, {"\"llama_4_scaling_beta\" is 0.1", "\"yarn\""},
                 rope("rope_yarn", "llama_4_scaling_beta", 0.1));
  expect_refused(ErrorKind::kUnsupported, {"\"partial_rotary_factor\" is 0.5", "\"yarn\""},
                 rope("rope_yarn", "partial_rotary_factor", 0.5));
  expect_refused(ErrorKind::kUnsupported, {"\"attention_factor\" is 2", "\"linear\""},
                 rope("rope_linear", "attention_factor", 2));
  EXPECT_NO_THROW(parse(rope("llama", "factor", 1)));
  EXPECT_NO_THROW(parse(rope("llama", "partial_rotary_factor", 1.0)));
  EXPECT_NO_THROW(parse(rope("rope_yarn", "finetuned", true)));
  EXPECT_NO_THROW(parse(rope("rope_linear", "original_max_position_embeddings", 128)));
  EXPECT_NO_THROW(parse(rope("rope_linear", "beta_fast", nullptr)));
}

TEST(RopeParameters, PerKindOfLayerMustBeEqual) {
  const Json plain = {{"rope_type", "default"}, {"rope_theta", 5e5}};
  const Json local = {{"rope_type", "default"}, {"rope_theta", 10000}};
  const Json json = config_of("qwen3");
  const auto nested = [&](const Json& sliding) {
    return with(json, "rope_parameters", {{"full_attention", plain}, {"sliding_attention", sliding}});
  };
  EXPECT_EQ(parse(nested(plain)).rope.theta, 5e5);
  expect_refused(ErrorKind::kUnsupported, {"rope_parameters", "\"full_attention\" and \"sliding_attention\" differ"},
                 nested(local));
  expect_refused(ErrorKind::kBadFile, {"rope_parameters", "full_attention", "object"},
                 with(json, "rope_parameters", {{"full_attention", 7}}));
  expect_refused(ErrorKind::kBadFile, {"rope_scaling", "object", "[]"}, with(json, "rope_scaling", Json::array()));
}

struct ForeignConfigKeys {
  const char* key;
  Json refused;
  Json passed;
};

TEST(ForeignKeys, PassWithANeutralValueOnly) {
  const std::vector<ForeignConfigKeys> cases = {
      {"attn_logit_softcapping", 50.0, nullptr},
      {"final_logit_softcapping", 30, 0},
      {"query_pre_attn_scalar", 256, 16},
      {"attention_multiplier", 1.0, 0.25},
      {"rope_type", "yarn", "default"},
      {"partial_rotary_factor", 0.5, 1.0},
      {"rotary_pct", 0.25, 1},
      {"rotary_dim", 8, 16},
      {"rope_local_base_freq", 1e6, 10000},
      {"rope_interleaved", true, false},
      {"no_rope_layers", {1, 1, 0}, {1, 1, 1}},
      {"no_rope_layers", {0}, Json::array()},
      {"no_rope_layer_interval", 4, nullptr},
      {"embedding_multiplier", 12.0, 1.0},
      {"logits_scaling", 8, 1},
      {"residual_multiplier", 0.22, 1.0},
      {"logit_scale", 0.0625, 1},
      {"scale_emb", 12, 1},
      {"scale_depth", 1.4, nullptr},
      {"dim_model_base", 256, 64},
      {"use_qk_norm", true, false},
      {"qk_layernorm", true, false},
      {"use_sliding_window", true, false},
      {"layer_types", {"chunked_attention"}, {"full_attention", "full_attention", "full_attention"}},
      {"attention_chunk_size", 8192, nullptr},
      {"num_local_experts", 8, 0},
      {"num_experts", 64, nullptr},
      {"first_k_dense_replace", 1, 0},
      {"parallel_attn", true, false},
      {"use_parallel_residual", true, false},
      {"clip_qkv", 8.0, nullptr},
      {"attn_temperature_tuning", 4, false},
      {"hidden_activation", "gelu_pytorch_tanh", "silu"},
      {"is_causal", false, true},
      {"add_cross_attention", true, false},
      {"cross_attention_layers", {3}, Json::array()},
      {"v_head_dim", 8, 16},
      {"num_kv_heads", 1, 2},
      {"pruned_heads", {{"1", {0}}}, Json::object()},
  };
  const Json json = config_of("llama");
  for (const ForeignConfigKeys& c : cases) {
    expect_refused(ErrorKind::kUnsupported, {"config.json", c.key, c.refused.dump(), "llama"},
                   with(json, c.key, c.refused));
    EXPECT_NO_THROW(parse(with(json, c.key, c.passed))) << c.key;
    EXPECT_NO_THROW(parse(with(json, c.key, nullptr))) << c.key;
  }
}

// transformers' llama reads no window, and its mistral no flag for one.
TEST(ForeignKeys, WhatAFamilyReadsOrIsKnownToIgnorePasses) {
  EXPECT_EQ(parse(with(config_of("llama"), "sliding_window", 16)).layer(0).attention.window, 0);
  EXPECT_EQ(parse(with(config_of("mistral_sliding"), "use_sliding_window", true)).layer(0).attention.window, 16);
  EXPECT_NO_THROW(parse(with(config_of("qwen2"), "use_sliding_window", true)));
  EXPECT_NO_THROW(parse(with(config_of("qwen2"), "use_mrope", false)));
  EXPECT_NO_THROW(parse(with(config_of("qwen3"), "use_qk_norm", true)));
  expect_refused(ErrorKind::kUnsupported, {"use_qk_norm", "false", "qwen3"},
                 with(config_of("qwen3"), "use_qk_norm", false));
  EXPECT_NO_THROW(parse(with(config_of("olmo2"), "norm_after", true)));
  expect_refused(ErrorKind::kUnsupported, {"norm_after", "false", "olmo2"},
                 with(config_of("olmo2"), "norm_after", false));
  expect_refused(ErrorKind::kUnsupported, {"pre_norm", "true", "olmo2"}, with(config_of("olmo2"), "pre_norm", true));
  EXPECT_TRUE(parse(with(config_of("llama"), "mlp_bias", true)).layer(0).feed_forward.bias);
  expect_refused(ErrorKind::kUnsupported, {"mlp_bias", "true", "qwen2"}, with(config_of("qwen2"), "mlp_bias", true));
}

TEST(ForeignKeys, NoKeyIsInTwoRows) {
  const auto check = [](const std::vector<ForeignKeys>& rows, const std::string& where) {
    std::set<std::string> seen;
    for (const ForeignKeys& row : rows)
      for (const char* key : row.keys) EXPECT_TRUE(seen.insert(key).second) << where << ": " << key;
  };
  check(foreign_config_keys(), "table");
  for (const Architecture* row : architectures()) {
    check(row->config_keys, std::string(row->name));
    check(row->gguf_keys, std::string(row->name));
  }
}

TEST(Config, LayerTypesThatContradictTheWindowAreRefused) {
  Json qwen = config_of("qwen2");
  qwen["layer_types"] = {"full_attention", "sliding_attention", "full_attention"};
  expect_refused(ErrorKind::kUnsupported, {"layer_types[1]", "use_sliding_window"}, qwen);
  Json mistral = config_of("mistral_sliding");
  mistral["layer_types"] = {"sliding_attention", "full_attention", "sliding_attention"};
  expect_refused(ErrorKind::kUnsupported, {"layer_types[1]", "sliding_window 16"}, mistral);
  mistral["layer_types"] = {"sliding_attention", "sliding_attention", "sliding_attention"};
  for (const LayerConfig& layer : parse(mistral).layers) EXPECT_EQ(layer.attention.window, 16);
  mistral["layer_types"] = {"sliding_attention"};
  expect_refused(ErrorKind::kBadFile, {"layer_types", "3 entries"}, mistral);
}

TEST(Config, Gemma3IsReadAsNewAndOldFilesSayIt) {
  const Json json = config_of("gemma3");
  const ModelConfig config = parse(json);
  EXPECT_EQ(config.embedding_scale, 8) << "the root of 64";
  EXPECT_EQ(config.rope.theta, 1e6);
  EXPECT_EQ(config.rope.factor, 4);
  EXPECT_EQ(config.window_rope->theta, 1e4);
  EXPECT_EQ(config.window_rope->kind, RopeConfig::Kind::kDefault);
  for (int layer = 0; layer < 7; ++layer) EXPECT_EQ(config.layer(layer).attention.window, layer == 5 ? 0 : 20);
  EXPECT_EQ(config.layer(0).attention.scale, 0) << "1 / sqrt(head_dim)";
  EXPECT_NEAR(parse(with(json, "query_pre_attn_scalar", 16)).layer(0).attention.scale, 0.25, 1e-15);

  // Before transformers 5: one theta, a scaling of the layers that see everything, a base for the others, and a number in
  // place of the layers' kinds. Nothing is said of what is the default.
  Json old = json;
  for (const char* key : {"rope_parameters", "layer_types", "_sliding_window_pattern", "tie_word_embeddings"})
    old.erase(key);
  EXPECT_EQ(parse(with(old, "rope_scaling", {{"rope_type", "linear"}, {"factor", 4.0}})), config);
  old["rope_theta"] = 5e5;
  old["rope_local_base_freq"] = 2e4;
  old["sliding_window_pattern"] = 3;
  const ModelConfig other = parse(old);
  EXPECT_EQ(other.rope.theta, 5e5);
  EXPECT_EQ(other.rope.kind, RopeConfig::Kind::kDefault);
  EXPECT_EQ(other.window_rope->theta, 2e4);
  for (int layer = 0; layer < 7; ++layer) EXPECT_EQ(other.layer(layer).attention.window, layer % 3 == 2 ? 0 : 20);
  EXPECT_FALSE(parse(with(old, "sliding_window", nullptr)).window_rope.has_value());
  expect_refused(ErrorKind::kUnsupported, {"use_bidirectional_attention", "true", "gemma3"},
                 with(json, "use_bidirectional_attention", true));
  expect_refused(ErrorKind::kUnsupported, {"hidden_activation", "softplus"},
                 with(json, "hidden_activation", "softplus"));
}

TEST(Config, Olmo3IsReadAsNewAndOldFilesSayIt) {
  const Json json = config_of("olmo3");
  const ModelConfig config = parse(json);
  EXPECT_EQ(config.rope.kind, RopeConfig::Kind::kYarn);
  EXPECT_EQ(config.window_rope->kind, RopeConfig::Kind::kDefault);
  EXPECT_EQ(config.window_rope->theta, 5e5);
  for (int layer = 0; layer < 5; ++layer) EXPECT_EQ(config.layer(layer).attention.window, layer == 3 ? 0 : 20);
  Json old = json;
  for (const char* key : {"rope_parameters", "layer_types"}) old.erase(key);
  old["rope_theta"] = 5e5;
  old["rope_scaling"] = {{"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 32}};
  EXPECT_EQ(parse(old), config);
  old["rope_theta"] = 1e4;
  EXPECT_EQ(parse(old).window_rope->theta, 1e4) << "one theta is that of all layers";
}

TEST(Config, SmolLm3LeavesLayersUnrotated) {
  const auto rotated = [](const Json& json) {
    std::vector<bool> layers;
    for (const LayerConfig& layer : parse(json).layers) layers.push_back(layer.attention.rotary);
    return layers;
  };
  using Layers = std::vector<bool>;
  Json json = config_of("smollm3");
  EXPECT_EQ(rotated(json), (Layers{true, true, true, false, true}));
  EXPECT_EQ(rotated(with(json, "no_rope_layers", {0, 1, 1, 1, 1, 0})), (Layers{false, true, true, true, true}));
  expect_refused(ErrorKind::kBadFile, {"no_rope_layers", "5 numbers"}, with(json, "no_rope_layers", {1, 1}));
  expect_refused(ErrorKind::kBadFile, {"no_rope_layers[1]", "got 2"}, with(json, "no_rope_layers", {1, 2, 1, 1, 1}));
  for (const char* key : {"no_rope_layers", "tie_word_embeddings", "layer_types"}) json.erase(key);
  EXPECT_EQ(rotated(with(json, "no_rope_layer_interval", 2)), (Layers{true, false, true, false, true}));
  EXPECT_TRUE(parse(json).tied_embedding);
  json["use_sliding_window"] = true;
  json["sliding_window"] = 8;
  expect_refused(ErrorKind::kUnsupported, {"layer_types"}, json);
}

TEST(Config, ExpertsStandWhereQwenPutsThem) {
  const auto experts = [](const Json& json) {
    std::vector<int64_t> sizes;  // of a layer's experts; below zero where it has none
    for (const LayerConfig& layer : parse(json).layers)
      sizes.push_back(layer.feed_forward.intermediate * (layer.feed_forward.experts.count > 0 ? 1 : -1));
    return sizes;
  };
  using Sizes = std::vector<int64_t>;
  Json json = with(config_of("qwen3_moe"), "num_hidden_layers", 4);
  EXPECT_EQ(experts(json), (Sizes{64, 64, 64, 64}));
  EXPECT_EQ(experts(with(json, "decoder_sparse_step", 2)), (Sizes{-128, 64, -128, 64}));
  EXPECT_EQ(experts(with(json, "mlp_only_layers", {0, 3})), (Sizes{-128, 64, 64, -128}));
  EXPECT_EQ(experts(with(json, "num_local_experts", 0)), (Sizes{-128, -128, -128, -128}));
  EXPECT_FALSE(parse(with(json, "norm_topk_prob", false)).layer(0).feed_forward.experts.normalize);
  expect_refused(ErrorKind::kBadFile, {"mlp_only_layers", "got 4"}, with(json, "mlp_only_layers", {4}));
  expect_refused(ErrorKind::kBadFile, {"num_experts_per_tok"}, with(json, "num_experts_per_tok", 5));
  json.erase("num_local_experts");
  EXPECT_EQ(parse(with(json, "num_experts", 6)).layer(0).feed_forward.experts.count, 6) << "before transformers 5";
  json = config_of("qwen2_moe");
  EXPECT_EQ(parse(json).layer(0).feed_forward.experts.shared_intermediate, 96);
  json.erase("layer_types");
  expect_refused(ErrorKind::kUnsupported, {"layer_types"}, with(json, "use_sliding_window", true));
  expect_refused(ErrorKind::kUnsupported, {"clip_qkv", "8"}, with(config_of("olmoe"), "clip_qkv", 8));
}

TEST(Config, Gemma2CapsUnlessItSaysThatNothingIsCapped) {
  Json json = config_of("gemma2");
  EXPECT_EQ(parse(json).logit_soft_cap, 3);
  EXPECT_EQ(parse(json).layer(3).attention.soft_cap, 2);
  for (int layer = 0; layer < 4; ++layer) EXPECT_EQ(parse(json).layer(layer).attention.window, layer % 2 == 0 ? 20 : 0);
  EXPECT_EQ(parse(with(json, "attn_logit_softcapping", nullptr)).layer(0).attention.soft_cap, 0);
  for (const char* key : {"attn_logit_softcapping", "final_logit_softcapping", "layer_types"}) json.erase(key);
  json["hidden_act"] = "gelu_pytorch_tanh";  // as the published files have it
  const ModelConfig plain = parse(json);
  EXPECT_EQ(plain.logit_soft_cap, 30);
  EXPECT_EQ(plain.layer(0).attention.soft_cap, 50);
  EXPECT_EQ(plain.layer(2).attention.window, 20);
  EXPECT_EQ(plain.layer(3).attention.window, 0);
  expect_refused(ErrorKind::kBadFile, {"final_logit_softcapping", "-1"}, with(json, "final_logit_softcapping", -1));
}

TEST(Config, AnEpsilonUnderAnotherNameIsNotReplacedByTheDefault) {
  Json json = config_of("llama");
  json["layer_norm_eps"] = 1e-5;
  EXPECT_EQ(parse(json).layer(0).norm.epsilon, 1e-6) << "rms_norm_eps is the one that counts";
  json.erase("rms_norm_eps");
  expect_refused(ErrorKind::kUnsupported, {"layer_norm_eps", "rms_norm_eps"}, json);
}

}  // namespace
}  // namespace vernier
