#include "plan/target.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "vernier/error.h"

namespace vernier {
namespace {

using testing::ElementsAre;

TEST(LlamaCppRules, MatricesArePlannedTheRestIsF32) {
  const TargetRules rules = target_rules("llama.cpp");
  const std::vector<TensorFacts> fixed = {
      {.tensor = "blk.0.attn_norm.weight", .role = "norm", .shape = {256}},
      {.tensor = "blk.0.attn_q.bias", .role = "bias", .shape = {256}},
      {.tensor = "blk.0.attn_sinks", .role = "attn_sinks", .shape = {8}},
      {.tensor = "blk.0.ffn_gate_inp.weight", .role = "router", .shape = {8, 256}},
      {.tensor = "position_embd.weight", .role = "embed", .shape = {1024, 256}},
  };
  for (const TensorFacts& facts : fixed) {
    EXPECT_THAT(rules.schemes_for(facts), ElementsAre("f32")) << facts.tensor;
    EXPECT_THAT(rules.why_fixed(facts), testing::HasSubstr("f32")) << facts.tensor;
  }
  for (const TensorFacts& facts :
       {TensorFacts{.tensor = "token_embd.weight", .role = "embed", .shape = {512, 256}},
        TensorFacts{.tensor = "blk.0.ffn_down_exps.weight", .role = "ffn_down", .layer = 0, .shape = {8, 256, 512}}})
    EXPECT_THAT(rules.schemes_for(facts),
                ElementsAre("gguf:q2_k", "gguf:q3_k", "gguf:q4_0", "gguf:iq4_nl", "gguf:q4_k", "gguf:q4_1", "gguf:q5_0",
                            "gguf:q5_k", "gguf:q5_1", "gguf:q6_k", "gguf:q8_0", "f16"));
}

TEST(LlamaCppRules, ExpertsOfOneStackAreTied) {
  std::vector<TensorFacts> tensors;
  for (int64_t layer = 0; layer < 2; ++layer)
    for (int64_t expert = 0; expert < 3; ++expert)
      for (const char* role : {"ffn_up", "ffn_down"})
        tensors.push_back({.tensor = "e", .role = role, .layer = layer, .expert = expert, .shape = {512, 256}});
  tensors.push_back({.tensor = "blk.0.attn_q.weight", .role = "attn_q", .layer = 0, .shape = {256, 256}});
  tensors.push_back({.tensor = "one", .role = "ffn_gate", .layer = 0, .expert = 0, .shape = {256, 256}});
  EXPECT_THAT(target_rules("llama.cpp").tied(tensors),
              ElementsAre(ElementsAre(1, 3, 5), ElementsAre(0, 2, 4), ElementsAre(7, 9, 11), ElementsAre(6, 8, 10)));
}

TEST(TargetRules, UnknownTargetsSayWhatIsKnown) {
  try {
    target_rules("vllm");
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kUnsupported);
    EXPECT_THAT(e.what(), testing::HasSubstr("not supported yet"));
  }
  try {
    target_rules("ollama");
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kInvalidArgument);
    EXPECT_THAT(e.what(), testing::HasSubstr("expected llama.cpp"));
  }
}

}  // namespace
}  // namespace vernier
