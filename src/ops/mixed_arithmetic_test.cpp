#include "ops/mixed_arithmetic.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace vernier {
namespace {

at::ScalarType product_type() { return at::matmul(at::ones({2, 3}), at::ones({3, 2})).scalar_type(); }

// Where there are no instructions for it products stay as they are: libtorch 1.13 would round every sum to 8 bits term by
// term, and take longer.
const at::ScalarType kNarrow = multiplies_bfloat16(at::kCPU) ? at::kBFloat16 : at::kFloat;

TEST(MixedArithmetic, ProductsAreNarrowForAsLongAsItLives) {
  const at::Device cpu(at::kCPU);
  EXPECT_EQ(product_type(), at::kFloat);
  {
    const MixedArithmetic on(true, cpu);
    EXPECT_EQ(product_type(), kNarrow);
    {
      const MixedArithmetic off(false, cpu);
      EXPECT_EQ(product_type(), at::kFloat);
    }
    EXPECT_EQ(product_type(), kNarrow);
    {
      const MixedArithmetic again(true, cpu);
      EXPECT_EQ(product_type(), kNarrow);
    }
    EXPECT_EQ(product_type(), kNarrow);
  }
  EXPECT_EQ(product_type(), at::kFloat);
}

TEST(MixedArithmetic, SumsOfManyTermsKeepTheirSmallOnes) {
  // 1 and 4,096 times 2^-12, each a number of 8 bits: 2. Added one by one in 8 bits it stays 1.
  const at::Tensor x = at::full({16, 4097}, 1.0F / 4096), ones = at::ones({4097, 16});
  x.select(1, 0).fill_(1);
  {
    const MixedArithmetic on(true, at::Device(at::kCPU));
    EXPECT_TRUE(at::matmul(x, ones).eq(2).all().item<bool>());
  }
  const at::Tensor narrow = matrix_product(x.to(at::kBFloat16), ones.to(at::kBFloat16));
  EXPECT_EQ(narrow.scalar_type(), at::kBFloat16);
  EXPECT_TRUE(narrow.eq(2).all().item<bool>());
}

TEST(MixedArithmetic, OnlyItsOwnProductsAreWidened) {
  const at::Tensor narrow = at::ones({2}, at::kBFloat16), wide = at::ones({2});
  EXPECT_EQ(widened(narrow).scalar_type(), at::kBFloat16) << "of a model in bfloat16";
  const MixedArithmetic on(true, at::Device(at::kCPU));
  EXPECT_EQ(widened(narrow).scalar_type(), kNarrow == at::kFloat ? at::kBFloat16 : at::kFloat);
  EXPECT_TRUE(widened(wide).is_same(wide));
  EXPECT_EQ(widened(at::ones({2}, at::kDouble)).scalar_type(), at::kDouble);
}

}  // namespace
}  // namespace vernier
