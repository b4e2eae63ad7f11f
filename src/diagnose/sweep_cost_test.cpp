#include "diagnose/sweep_cost.h"

#include <gtest/gtest.h>

#include <utility>

#include "support/models.h"

namespace vernier {
namespace {

// What runs again, by hand: a part of the component's own layer, the layers after it, its scores.
TEST(SweepCost, IsWhatComesAfterTheComponent) {
  ModelConfig config;
  LayerConfig layer;
  layer.attention.heads = 4;
  layer.attention.kv_heads = 2;
  config.layers.assign(3, layer);
  const SweepUnits units{.block = 10, .last_block = 8, .ffn = 4, .last_ffn = 2, .scores = 1};
  for (const auto& [name, seconds] : std::initializer_list<std::pair<const char*, double>>{
           {"lm_head", 1},
           {"embed", 10 + 10 + 8 + 1},
           {"L0", 10 + 10 + 8 + 1},
           {"L2", 8 + 1},
           {"L0.ffn", 4 + 10 + 8 + 1},
           {"L2.ffn_down", 2 + 1},
           {"L1.attn_q", 10 + 8 + 1},
           {"L1.attn_output", 4 + 8 + 1},
           {"L1.head0", 2 * 6 / 4.0 + 4 + 8 + 1},
           {"L1.kv1", 2 * 6 / 2.0 + 4 + 8 + 1},
       })
    EXPECT_EQ(component_seconds(parse_component(name), config, units), seconds) << name;
}

TEST(SweepCost, PartsAreTimedWhateverTheFamily) {
  // Which of two short times is longer is the machine's affair; that each was taken is ours.
  for (const std::string& name : fixture_names()) {
    const Model model = fixture_model(name);
    const SweepUnits units = time_sweep(model, {.threads = 1}, 4, 64);
    EXPECT_GT(units.block, 0) << name;
    EXPECT_GT(units.last_block, 0) << name;
    EXPECT_GT(units.ffn, 0) << name;
    EXPECT_GT(units.last_ffn, 0) << name;
    EXPECT_GT(units.scores, 0) << name;
    DiagnoseOptions options;
    options.compute.threads = 1;
    const double some = diagnosis_seconds(model, options, 2, 64);
    EXPECT_GT(some, 0) << name;
    options.candidates = {"gguf:q2_k", "gguf:q8_0"};
    EXPECT_GT(diagnosis_seconds(model, options, 64, 64), some) << name << ": of 32 times as many windows";
  }
}

}  // namespace
}  // namespace vernier
