#include "vernier/model.h"

#include <gtest/gtest.h>

#include "support/models.h"

namespace vernier {
namespace {

TEST(Model, SettingAWeightForgetsItsScheme) {
  Model model = to_float32(fixture_model("llama"));
  const TensorId id{TensorRole::kFfnDown, 0};
  model.set_stored_scheme(id, Scheme::parse("gguf:q8_0"));
  EXPECT_TRUE(model.stored_scheme(id));
  model.set_weight(id, model.weight(id).clone());
  EXPECT_FALSE(model.stored_scheme(id));
}

// Artefacts are matched by this hash, so whatever changes an answer must change it.
TEST(Model, TheHashCoversEverythingThatChangesAnAnswer) {
  const Model model = fixture_model("llama3_rope_tied");
  const std::string hash = model_hash(model);
  EXPECT_EQ(hash, model_hash(fixture_model("llama3_rope_tied")));
  const auto changed = [&](auto&& change) {
    ModelConfig config = model.config();
    change(config);
    Model other(config, {});
    for (const TensorId& id : model.tensors()) other.set_weight(id, model.weight(id));
    return model_hash(other) != hash;
  };
  EXPECT_FALSE(changed([](ModelConfig&) {})) << "the name and the place of a file change nothing";
  EXPECT_TRUE(changed([](ModelConfig& c) { c.norm_epsilon *= 2; }));
  EXPECT_TRUE(changed([](ModelConfig& c) { c.sliding_window[0] = 7; }));
  EXPECT_TRUE(changed([](ModelConfig& c) { c.rope.theta += 1; }));
  EXPECT_TRUE(changed([](ModelConfig& c) { c.rope.original_context += 1; }));
  EXPECT_TRUE(changed([](ModelConfig& c) { c.rope.low_freq_factor += 0.5; }));
  EXPECT_TRUE(changed([](ModelConfig& c) { c.rope.high_freq_factor += 0.5; }));
  EXPECT_TRUE(changed([](ModelConfig& c) { c.rope.beta_fast += 1; }));
  EXPECT_TRUE(changed([](ModelConfig& c) { c.rope.beta_slow += 1; }));
  EXPECT_TRUE(changed([](ModelConfig& c) { c.rope.truncate = !c.rope.truncate; }));
  EXPECT_TRUE(changed([](ModelConfig& c) { c.rope.factors = {1, 2}; }));
  Model weight = model;
  at::Tensor copy = model.weight({TensorRole::kFfnUp, 1}).clone();
  copy[2][3] += 1;
  weight.set_weight({TensorRole::kFfnUp, 1}, copy);
  EXPECT_NE(model_hash(weight), hash);
}

}  // namespace
}  // namespace vernier
