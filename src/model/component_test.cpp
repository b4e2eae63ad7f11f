#include "vernier/component.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "support/expect_error.h"
#include "vernier/model_config.h"
#include "vernier/site.h"

namespace vernier {
namespace {

TEST(Component, NamesRoundTrip) {
  for (const char* name : {"L3.head5", "L0.kv1", "L11.ffn", "L3", "L2.ffn_down", "L2.attn_output", "embed", "lm_head",
                           "L0.expert12", "L0.router", "L0.expert12.ffn_gate", "L4.shared_down"})
    EXPECT_EQ(name_of(parse_component(name)), name);
}

TEST(Component, NonsenseIsRefused) {
  for (const char* name : {"", "L", "L-1.ffn", "Lx.head1", "L3.head", "L3.head-1", "L3.attn_norm", "head3", "L3.",
                           "L99999999999", "L3.expert", "L3.expert1.head2", "L3.expert1.", "expert1", "L03.ffn"})
    expect_error(ErrorKind::kInvalidArgument, {'"' + std::string(name) + '"', "expected L<layer>"},
                 [&] { parse_component(name); });
}

/// Two layers: one dense with grouped queries, one of three experts with a shared one.
ModelConfig two_layers() {
  ModelConfig config;
  config.family = "llama", config.vocabulary = 100, config.hidden = 64;
  LayerConfig layer;
  layer.attention.heads = 4, layer.attention.kv_heads = 2, layer.attention.head_dim = 8;
  layer.feed_forward.intermediate = 48;
  config.layers = {layer, layer};
  config.layers[1].feed_forward.experts = {.count = 3, .used = 2, .shared_intermediate = 16};
  return config;
}

TEST(Components, TheirSlicesAreWhatTheyAreMadeOf) {
  using Role = TensorRole;
  const ModelConfig config = two_layers();
  const auto slices = [&](const char* name) { return slices_of(config, parse_component(name)); };
  EXPECT_EQ(slices("L0.head3"),
            (std::vector<WeightSlice>{{{Role::kAttnQ, 0}, 24, 8, 0, 64}, {{Role::kAttnOutput, 0}, 0, 64, 24, 8}}));
  EXPECT_EQ(slices("L1.kv1"),
            (std::vector<WeightSlice>{{{Role::kAttnK, 1}, 8, 8, 0, 64}, {{Role::kAttnV, 1}, 8, 8, 0, 64}}));
  EXPECT_EQ(slices("L0.ffn").size(), 3u);
  EXPECT_EQ(slices("L1.ffn").size(), 1u + 3 * 3 + 3) << "router, experts, shared expert";
  EXPECT_EQ(slices("L1.expert2"), (std::vector<WeightSlice>{{{Role::kFfnGate, 1, 2}, 0, 48, 0, 64},
                                                            {{Role::kFfnUp, 1, 2}, 0, 48, 0, 64},
                                                            {{Role::kFfnDown, 1, 2}, 0, 64, 0, 48}}));
  EXPECT_EQ(slices("L1.router"), (std::vector<WeightSlice>{{{Role::kRouter, 1}, 0, 3, 0, 64}}));
  EXPECT_EQ(slices("L1").size(), 4u + 13);
  EXPECT_EQ(slices("lm_head"), (std::vector<WeightSlice>{{{Role::kOutput}, 0, 100, 0, 64}}));
  for (const char* name : {"L0.head4", "L0.kv2", "L2", "L0.expert0", "L0.router", "L1.expert3"})
    expect_error(ErrorKind::kInvalidArgument, {name, "no such part"}, [&] { slices(name); });
}

TEST(Components, EveryMatrixIsFoundByItsName) {
  const ModelConfig config = two_layers();
  for (const Component& layer : {Component{ComponentKind::kLayer, 0}, Component{ComponentKind::kLayer, 1}})
    for (const WeightSlice& slice : slices_of(config, layer)) {
      const Component one = component_of(slice.tensor);
      EXPECT_EQ(parse_component(name_of(one)), one) << name_of(one);
      EXPECT_TRUE(is_one_matrix(one.kind)) << name_of(one);
    }
  std::set<std::string> names;
  for (const Component& component : components_of(config, all_component_kinds()))
    EXPECT_TRUE(names.insert(name_of(component)).second) << name_of(component) << " twice";
  const std::vector<Component> matrices = components_of(config, {ComponentKind::kTensor});
  EXPECT_EQ(std::count(matrices.begin(), matrices.end(), parse_component("L1.router")), 1) << "a matrix as well";
}

TEST(Components, EveryMatrixOfALayerIsInItsLayerOnce) {
  const ModelConfig config = two_layers();
  for (int layer = 0; layer < config.depth(); ++layer) {
    std::set<TensorId> in_layer, in_tensors;
    for (const WeightSlice& slice : slices_of(config, {ComponentKind::kLayer, layer}))
      EXPECT_TRUE(in_layer.insert(slice.tensor).second) << name_of(slice.tensor);
    for (const Component& c : components_of(config, {ComponentKind::kTensor}))
      if (c.layer == layer) in_tensors.insert(slices_of(config, c)[0].tensor);
    EXPECT_EQ(in_layer, in_tensors);
  }
  EXPECT_EQ(components_of(config, {ComponentKind::kExpert}).size(), 3u);
  EXPECT_EQ(components_of(config, all_component_kinds()).size(), 2u * (4 + 2 + 1 + 1) + 3 + 1 + 7 + 16 + 2);
}

TEST(Kinds, NamesRoundTrip) {
  for (const ComponentKind kind : all_component_kinds()) EXPECT_EQ(parse_kind(kind_name(kind)), kind);
  expect_error(ErrorKind::kInvalidArgument, {"\"heads\"", "head, kv_head, ffn, expert, router"},
               [] { parse_kind("heads"); });
}

TEST(Sites, NamesRoundTrip) {
  for (const SiteId& id : {SiteId{Site::kAttnInput, 0}, SiteId{Site::kFfnDownInput, 12, 3}, SiteId{Site::kOutputInput}})
    EXPECT_EQ(parse_site(name_of(id)), id) << name_of(id);
  for (const char* name : {"", "L0", "attn", "L0.elbow", "Lx.attn_input"})
    expect_error(ErrorKind::kInvalidArgument, {"site", name}, [&] { parse_site(name); });
}

TEST(TensorId, NamesRoundTrip) {
  for (int role = 0; role < kTensorRoleCount; ++role) {
    const auto r = static_cast<TensorRole>(role);
    for (const TensorId& id : {TensorId{r, 7}, TensorId{r, -1}}) try {
        EXPECT_EQ(parse_tensor(name_of(id)), id) << name_of(id);
      } catch (const Error&) {  // exactly one of the two exists
        const TensorId other{r, id.layer < 0 ? 7 : -1};
        EXPECT_EQ(parse_tensor(name_of(other)), other);
      }
  }
  EXPECT_EQ(gguf_name({TensorRole::kFfnDown, 3}), "blk.3.ffn_down.weight");
  EXPECT_EQ(gguf_name({TensorRole::kTokenEmbedding, -1}), "token_embd.weight");
}

}  // namespace
}  // namespace vernier
