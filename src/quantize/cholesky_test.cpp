#include "quantize/cholesky.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>

namespace vernier {
namespace {

at::Tensor positive_matrix(int64_t n) {
  at::manual_seed(3);
  const at::Tensor x = at::randn({n, n}, at::kDouble);
  return at::mm(x, x.t()) / static_cast<double>(n) + at::eye(n, at::kDouble) * 0.01;
}

TEST(Cholesky, IsTheFactorInOneBlockAndInManyWhoseLastIsNarrow) {
  for (const int64_t n : {1, 7, 256, 257, 1100}) {
    const at::Tensor matrix = positive_matrix(n), lower = matrix.clone();
    ASSERT_TRUE(cholesky_in_place(lower, 2)) << n;
    EXPECT_LT((lower.tril() - at::linalg_cholesky(matrix)).abs().max().item<double>(), 1e-11) << n;
  }
}

TEST(Cholesky, BitsDoNotDependOnThreads) {
  const at::Tensor one = positive_matrix(1100), three = one.clone();
  ASSERT_TRUE(cholesky_in_place(one, 1));
  ASSERT_TRUE(cholesky_in_place(three, 3));
  EXPECT_TRUE(at::equal(one.tril(), three.tril()));
}

TEST(Cholesky, SaysWhereThereIsNoFactor) {
  for (const double bad : {-1.0, std::numeric_limits<double>::quiet_NaN()})
    for (const int64_t place : {3, 300, 511}) {
      at::Tensor matrix = positive_matrix(512);
      matrix[place][place] = bad;
      EXPECT_FALSE(cholesky_in_place(matrix, 2)) << bad << " at " << place;
    }
}

}  // namespace
}  // namespace vernier
