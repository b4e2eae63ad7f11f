#include "vernier/component.h"

#include <gtest/gtest.h>

#include "vernier/error.h"

namespace vernier {
namespace {

TEST(Component, NamesRoundTrip) {
  for (const char* name : {"L3.head5", "L0.kv1", "L11.ffn", "L3", "L2.ffn_down", "L2.attn_output", "embed", "lm_head"})
    EXPECT_EQ(name_of(parse_component(name)), name);
}

TEST(Component, NonsenseIsRefused) {
  for (const char* name :
       {"", "L", "L-1.ffn", "Lx.head1", "L3.head", "L3.head-1", "L3.attn_norm", "head3", "L3.", "L99999999999"})
    EXPECT_THROW(parse_component(name), Error) << name;
}

TEST(TensorId, GgufNamesRoundTrip) {
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
  for (const char* name : {"blk.x.attn_q.weight", "blk.3.token_embd.weight", "attn_q.weight", "output", ""})
    EXPECT_THROW(parse_gguf_name(name), Error) << name;
}

}  // namespace
}  // namespace vernier
