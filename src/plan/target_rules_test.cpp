#include "vernier/target_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vernier {
namespace {

using testing::ElementsAre, testing::IsEmpty;

const TargetRules kEngineRules{.target = "engine",
                               .schemes = {"gguf:q4_k", "gguf:q6_k"},
                               .fixed_scheme = "f32",
                               .fixed_roles = {TensorRole::kTokenEmbedding},
                               .one_scheme_per_tensor = true,
                               .alignment_bytes = 32};

TEST(TargetRules, MatricesArePlannedTheRestIsFixed) {
  for (const TensorFacts& facts : {TensorFacts{.role = TensorRole::kAttnNorm, .layer = 0, .shape = {256}},
                                   TensorFacts{.role = TensorRole::kAttnQBias, .layer = 0, .shape = {256}},
                                   TensorFacts{.role = TensorRole::kTokenEmbedding, .shape = {512, 256}}}) {
    EXPECT_THAT(kEngineRules.schemes_for(facts), ElementsAre("f32")) << role_name(facts.role);
    EXPECT_THAT(kEngineRules.why_fixed(facts), testing::HasSubstr("f32")) << role_name(facts.role);
  }
  for (const TensorFacts& facts : {TensorFacts{.role = TensorRole::kOutput, .shape = {512, 256}},
                                   TensorFacts{.role = TensorRole::kFfnDown, .layer = 0, .shape = {256, 512}}})
    EXPECT_THAT(kEngineRules.schemes_for(facts), ElementsAre("gguf:q4_k", "gguf:q6_k")) << role_name(facts.role);
}

TEST(TargetRules, CodebooksAreCandidatesWhereAskedFor) {
  TargetRules rules = kEngineRules;
  rules.codebooks = {"gguf:iq3_s"};
  const TensorFacts down{.role = TensorRole::kFfnDown, .layer = 0, .shape = {256, 512}};
  EXPECT_THAT(rules.schemes_for(down), ElementsAre("gguf:q4_k", "gguf:q6_k"));
  EXPECT_THAT(rules.with_codebooks().schemes_for(down), ElementsAre("gguf:q4_k", "gguf:q6_k", "gguf:iq3_s"));
}

TEST(TargetRules, ExpertsOfOneStackAreTied) {
  std::vector<TensorFacts> tensors;
  for (int64_t layer = 0; layer < 2; ++layer)
    for (int64_t expert = 0; expert < 3; ++expert)
      for (const TensorRole role : {TensorRole::kFfnUp, TensorRole::kFfnDown})
        tensors.push_back({.role = role,
                           .layer = layer,
                           .expert = expert,
                           .shape = {512, 256},
                           .stored_in = "blk." + std::to_string(layer) + "." + std::string(role_name(role))});
  tensors.push_back({.role = TensorRole::kAttnQ, .layer = 0, .shape = {256, 256}});
  tensors.push_back({.role = TensorRole::kFfnGate, .layer = 0, .expert = 0, .shape = {256, 256}, .stored_in = "alone"});
  tensors.push_back({.role = TensorRole::kAttnK, .layer = 1, .shape = {256, 256}, .stored_in = "blk.1.attn_qkv"});
  tensors.push_back({.role = TensorRole::kAttnV, .layer = 1, .shape = {256, 256}, .stored_in = "blk.1.attn_qkv"});
  EXPECT_THAT(kEngineRules.tied(tensors), ElementsAre(ElementsAre(0, 2, 4), ElementsAre(1, 3, 5), ElementsAre(6, 8, 10),
                                                      ElementsAre(7, 9, 11), ElementsAre(14, 15)));
  TargetRules separate = kEngineRules;
  separate.one_scheme_per_tensor = false;
  EXPECT_THAT(separate.tied(tensors), IsEmpty());
}

TEST(TargetRules, BytesArePaddedToTheAlignment) {
  EXPECT_EQ(kEngineRules.padded_bytes(0), 0u);
  EXPECT_EQ(kEngineRules.padded_bytes(1), 32u);
  EXPECT_EQ(kEngineRules.padded_bytes(64), 64u);
  EXPECT_EQ(TargetRules{}.padded_bytes(33), 33u);
}

}  // namespace
}  // namespace vernier
