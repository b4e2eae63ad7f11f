#include "vernier/component.h"

#include <gtest/gtest.h>

#include "support/expect_error.h"

namespace vernier {
namespace {

TEST(Component, NamesRoundTrip) {
  for (const char* name : {"L3.head5", "L0.kv1", "L11.ffn", "L3", "L2.ffn_down", "L2.attn_output", "embed", "lm_head"})
    EXPECT_EQ(name_of(parse_component(name)), name);
}

TEST(Component, NonsenseIsRefused) {
  for (const char* name :
       {"", "L", "L-1.ffn", "Lx.head1", "L3.head", "L3.head-1", "L3.attn_norm", "head3", "L3.", "L99999999999"})
    expect_error(ErrorKind::kInvalidArgument, {'"' + std::string(name) + '"', "expected L<layer>"},
                 [&] { parse_component(name); });
}

TEST(TensorId, GgufNamesRoundTrip) {
  for (int role = 0; role < kTensorRoleCount; ++role) {
    const auto r = static_cast<TensorRole>(role);
    const TensorId id{r, is_per_layer(r) ? 7 : -1};
    EXPECT_EQ(parse_gguf_name(gguf_name(id)), id) << gguf_name(id);
  }
  EXPECT_EQ(gguf_name({TensorRole::kFfnDown, 3}), "blk.3.ffn_down.weight");
  EXPECT_EQ(gguf_name({TensorRole::kTokenEmbedding, -1}), "token_embd.weight");
  for (const char* name : {"blk.x.attn_q.weight", "blk.3.token_embd.weight", "attn_q.weight", "output", ""})
    expect_error(ErrorKind::kInvalidArgument, {"tensor name \"" + std::string(name) + '"'},
                 [&] { parse_gguf_name(name); });
}

}  // namespace
}  // namespace vernier
