#include "ops/mixed_arithmetic.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace vernier {
namespace {

at::ScalarType product_type() { return at::matmul(at::ones({2, 3}), at::ones({3, 2})).scalar_type(); }

TEST(MixedArithmetic, ProductsAreNarrowForAsLongAsItLives) {
  const at::Device cpu(at::kCPU);
  EXPECT_EQ(product_type(), at::kFloat);
  {
    const MixedArithmetic on(true, cpu);
    EXPECT_EQ(product_type(), at::kBFloat16);
    {
      const MixedArithmetic off(false, cpu);
      EXPECT_EQ(product_type(), at::kFloat);
    }
    EXPECT_EQ(product_type(), at::kBFloat16);
    {
      const MixedArithmetic again(true, cpu);
      EXPECT_EQ(product_type(), at::kBFloat16);
    }
    EXPECT_EQ(product_type(), at::kBFloat16);
  }
  EXPECT_EQ(product_type(), at::kFloat);
}

TEST(MixedArithmetic, OnlyItsOwnProductsAreWidened) {
  const at::Tensor narrow = at::ones({2}, at::kBFloat16), wide = at::ones({2});
  EXPECT_EQ(widened(narrow).scalar_type(), at::kBFloat16) << "of a model in bfloat16";
  const MixedArithmetic on(true, at::Device(at::kCPU));
  EXPECT_EQ(widened(narrow).scalar_type(), at::kFloat);
  EXPECT_TRUE(widened(wide).is_same(wide));
  EXPECT_EQ(widened(at::ones({2}, at::kDouble)).scalar_type(), at::kDouble);
}

}  // namespace
}  // namespace vernier
