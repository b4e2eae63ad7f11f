#include "plan/llama_cpp_mix.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <set>

#include "support/expect_error.h"
#include "vernier/scheme.h"

namespace vernier {
namespace {

const TargetRules kMixTarget{.target = "engine",
                             .schemes = {"gguf:q4_k"},
                             .fixed_scheme = "f32",
                             .fixed_roles = {TensorRole::kRouter},
                             .one_scheme_per_tensor = true,
                             .alignment_bytes = 32};

struct MixShapes {
  int64_t vocabulary, hidden, intermediate, layers, heads, kv_heads, experts;
};

/// A Llama's or Mixtral's matrices, heads of 64, in the file's order; the embedding is the output unless `untied`.
std::vector<TensorDamage> mix_tensors(const MixShapes& s, bool untied = false) {
  std::vector<TensorDamage> all;
  const auto add = [&](TensorRole role, int64_t layer, int64_t rows, int64_t cols, int64_t expert = -1) {
    TensorId id{role, static_cast<int>(layer), static_cast<int>(expert)};
    TensorDamage tensor{name_of(id), role, layer, rows, cols, {}};
    tensor.expert = expert;
    tensor.stored_in = gguf_name(id);
    all.push_back(tensor);
  };
  add(TensorRole::kTokenEmbedding, -1, s.vocabulary, s.hidden);
  for (int64_t i = 0; i < s.layers; ++i) {
    add(TensorRole::kAttnQ, i, 64 * s.heads, s.hidden);
    add(TensorRole::kAttnK, i, 64 * s.kv_heads, s.hidden);
    add(TensorRole::kAttnV, i, 64 * s.kv_heads, s.hidden);
    add(TensorRole::kAttnOutput, i, s.hidden, 64 * s.heads);
    if (s.experts > 0) add(TensorRole::kRouter, i, s.experts, s.hidden);
    for (int64_t e = s.experts > 0 ? 0 : -1; e < s.experts; ++e) {
      add(TensorRole::kFfnGate, i, s.intermediate, s.hidden, e);
      add(TensorRole::kFfnUp, i, s.intermediate, s.hidden, e);
      add(TensorRole::kFfnDown, i, s.hidden, s.intermediate, e);
      if (s.experts == 0) break;
    }
  }
  if (untied) add(TensorRole::kOutput, -1, s.vocabulary, s.hidden);
  return all;
}

MixModel mix_model(const MixShapes& s) {
  return {.layers = s.layers, .heads = s.heads, .kv_heads = s.kv_heads, .experts = s.experts, .llama = true};
}

// Sizes of the files that llama-quantize wrote (node-llama-cpp 3.22.1, with an importance matrix) of four small models.
// What is not a matrix takes the same in all files of a model, so one number a model is free.
TEST(LlamaCppMix, FilesAreAsLargeAsThoseOfLlamaQuantize) {
  const std::array<MixShapes, 4> models = {{{4096, 256, 768, 6, 4, 2, 0},
                                            {8192, 256, 768, 8, 4, 2, 0},
                                            {8192, 512, 1280, 8, 8, 4, 0},
                                            {8192, 512, 512, 4, 8, 4, 8}}};
  const std::vector<std::pair<std::string, std::array<uint64_t, 4>>> files = {
      {"q6_k", {4875488, 7176032, 21816192, 27278624}},   {"q5_k_m", {4309728, 6462304, 19309440, 24214816}},
      {"q4_k_m", {3777248, 5790560, 16950144, 21462304}}, {"q4_k_s", {3675360, 5594976, 16286592, 20380960}},
      {"q4_0", {3658976, 5566304, 16180096, 20249888}},   {"iq4_nl", {3658976, 5554016, 16139136, 20380960}},
      {"iq4_xs", {3511520, 5357408, 15451008, 19561760}}, {"q3_k_m", {3275488, 5039968, 14361472, 18013472}},
      {"iq3_m", {3110624, 4848992, 13719424, 17456416}},  {"iq3_s", {3032288, 4718432, 13214592, 16899360}},
      {"q3_k_s", {3032288, 4718432, 13214592, 16899360}}, {"iq3_xs", {2912480, 4570976, 12698496, 16260384}},
      {"q2_k", {2732768, 4319072, 11830144, 15088928}},   {"iq3_xxs", {2653408, 4120416, 11527040, 15047968}},
      {"q2_k_s", {2553056, 4125536, 11131776, 13860128}}, {"iq2_m", {2441440, 3859296, 10664832, 12950816}},
      {"iq2_s", {2312416, 3693408, 10095488, 12131616}},  {"iq2_xs", {2237152, 3573088, 9627520, 12131616}},
      {"iq2_xxs", {2095840, 3390816, 8992640, 11312416}}, {"q8_0", {6272224, 9207648, 28164992, 34897184}},
  };
  for (size_t m = 0; m < models.size(); ++m) {
    std::set<uint64_t> rest;
    for (const auto& [mix, bytes] : files) {
      const Plan plan = mix_plan(mix_tensors(models[m]), kMixTarget, mix_model(models[m]), mix);
      rest.insert(bytes[m] - plan.tensor_bytes);
      EXPECT_EQ(rest.size(), 1u) << mix << " of model " << m << ": " << bytes[m] - plan.tensor_bytes;
      rest.erase(std::next(rest.begin()), rest.end());
    }
  }
}

std::map<std::string, std::string> mix_schemes(const MixShapes& shapes, const std::string& mix, bool untied = false,
                                               bool importance = true) {
  MixModel model = mix_model(shapes);
  model.importance = importance;
  std::map<std::string, std::string> schemes;
  for (const PlanEntry& entry : mix_plan(mix_tensors(shapes, untied), kMixTarget, model, mix).entries)
    schemes[entry.tensor] = entry.scheme;
  return schemes;
}

TEST(LlamaCppMix, GroupedQueriesAndUntiedEmbeddings) {
  const MixShapes shapes{32000, 2048, 5632, 16, 32, 8, 0};
  auto q4 = mix_schemes(shapes, "q4_k_m", true);
  EXPECT_EQ(q4["embed"], "gguf:q4_k");
  EXPECT_EQ(q4["lm_head"], "gguf:q6_k");
  // The first and the last two of sixteen layers, and every third between.
  for (const int more : {0, 1, 4, 7, 10, 13, 14, 15}) EXPECT_EQ(q4[fmt::format("L{}.ffn_down", more)], "gguf:q6_k");
  for (const int less : {2, 3, 5, 6, 8, 9, 11, 12}) EXPECT_EQ(q4[fmt::format("L{}.attn_v", less)], "gguf:q4_k");
  EXPECT_EQ(mix_schemes(shapes, "q2_k")["L3.attn_v"], "gguf:q4_k");
  EXPECT_EQ(mix_schemes(shapes, "iq4_xs")["L3.attn_v"], "gguf:q5_k");
  auto iq2 = mix_schemes(shapes, "iq2_xs", true);
  EXPECT_EQ(iq2["embed"], "gguf:q2_k");
  EXPECT_EQ(iq2["lm_head"], "gguf:q5_k");
  EXPECT_EQ(iq2["L9.attn_v"], "gguf:q4_k");
  EXPECT_EQ(iq2["L1.ffn_down"], "gguf:q2_k");
  EXPECT_EQ(iq2["L2.ffn_down"], "gguf:iq2_xs");
}

TEST(LlamaCppMix, WithoutImportancesSomeLayersGetMore) {
  const MixShapes shapes{32000, 2048, 5632, 16, 32, 32, 0};
  EXPECT_EQ(mix_schemes(shapes, "iq4_xs", false, false)["L1.ffn_down"], "gguf:q5_k");
  EXPECT_EQ(mix_schemes(shapes, "iq4_xs", false, true)["L1.ffn_down"], "gguf:iq4_xs");
  EXPECT_EQ(mix_schemes(shapes, "q4_0", false, false)["L1.ffn_down"], "gguf:q4_0");
  EXPECT_EQ(mix_schemes(shapes, "q4_0", false, true)["L1.ffn_down"], "gguf:q4_1");
}

TEST(LlamaCppMix, SeventyBillionAndEightExperts) {
  EXPECT_EQ(mix_schemes({128256, 8192, 28672, 80, 64, 8, 0}, "q4_k_m")["L20.attn_v"], "gguf:q5_k");
  EXPECT_EQ(mix_schemes({128256, 8192, 28672, 79, 64, 8, 0}, "q3_k_m")["L20.attn_v"], "gguf:q4_k");
  auto q4 = mix_schemes({32000, 4096, 14336, 32, 32, 8, 8}, "q4_k_m");
  EXPECT_EQ(q4["L9.attn_v"], "gguf:q8_0");
  EXPECT_EQ(q4["L9.attn_k"], "gguf:q8_0");
  EXPECT_EQ(q4["L9.attn_output"], "gguf:q5_k");
  EXPECT_EQ(q4["L9.router"], "f32");
  auto mxfp4 = mix_schemes({32000, 4096, 14336, 32, 32, 8, 8}, "mxfp4_moe");
  EXPECT_EQ(mxfp4["L9.expert3.ffn_up"], "gguf:mxfp4");
  EXPECT_EQ(mxfp4["L9.attn_k"], "gguf:q8_0");
}

// What libllama's llama_model_quantize (build 0.5.0, a dry run) chose for a Qwen2 MoE of 24 layers with a shared expert: it
// counts matrices of this role, of which every layer has two, and not layers.
TEST(LlamaCppMix, TheSmallestMixesCountSharedExpertsAsWell) {
  const MixShapes shapes{320, 256, 256, 24, 4, 4, 3};
  std::vector<TensorDamage> tensors = mix_tensors(shapes);
  for (int layer = 0; layer < 24; ++layer) {
    const TensorId id{TensorRole::kSharedDown, layer};
    TensorDamage shared{name_of(id), id.role, layer, 256, 256, {}};
    shared.stored_in = gguf_name(id);
    tensors.push_back(shared);
  }
  const auto raised = [&](const std::string& mix, const std::string& scheme) {
    std::set<std::string> stored;
    const Plan plan = mix_plan(tensors, kMixTarget, mix_model(shapes), mix);
    for (size_t i = 0; i < tensors.size(); ++i)
      if (tensors[i].stored_in.find("ffn_down") != std::string::npos && plan.entries[i].scheme == scheme)
        stored.insert(tensors[i].stored_in);
    return stored;
  };
  const std::set<std::string> first = {"blk.0.ffn_down_exps.weight", "blk.0.ffn_down_shexp.weight",
                                       "blk.1.ffn_down_exps.weight"};
  EXPECT_EQ(raised("iq2_xxs", "gguf:q2_k"), first);
  EXPECT_EQ(raised("iq2_m", "gguf:iq3_s"), first);
  EXPECT_EQ(raised("q2_k_s", "gguf:q4_k").size(), 6u);  // by layers: both of the first three
}

TEST(LlamaCppMix, FallsBackByShapeAsLlamaCppDoes) {
  auto q4 = mix_schemes({49152, 576, 1536, 30, 9, 3, 0}, "q4_k_m");  // SmolLM2: rows of 576
  EXPECT_EQ(q4["embed"], "gguf:q8_0");
  EXPECT_EQ(q4["L0.attn_q"], "gguf:q5_0");
  EXPECT_EQ(q4["L0.attn_v"], "gguf:q8_0");
  EXPECT_EQ(q4["L0.ffn_down"], "gguf:q6_k");
  EXPECT_EQ(mix_schemes({49152, 576, 1536, 30, 9, 3, 0}, "iq3_s")["L0.attn_q"], "gguf:iq4_nl");
}

TEST(LlamaCppMix, UnknownOnesAreToldWhichThereAre) {
  expect_error(ErrorKind::kInvalidArgument, {"q4_k_x", "q4_k_m"},
               [] { mix_plan({}, kMixTarget, MixModel{}, "q4_k_x"); });
}

}  // namespace
}  // namespace vernier
