#include "finetune/folded_weight.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

namespace vernier {

namespace {

constexpr int kRounds = 3;  // rows and columns in turn, until they agree
constexpr double kMuchExplained = 0.1;

/// Of every slice along `dim`: by how much `of` is to be multiplied to be nearest to `to`.
at::Tensor factors(const at::Tensor& of, const at::Tensor& to, int64_t dim) {
  const at::Tensor power = of.square().sum(dim, /*keepdim=*/true);
  return at::where(power > 0, (of * to).sum(dim, /*keepdim=*/true) / power, at::ones_like(power));
}

double distance(const at::Tensor& a, const at::Tensor& b) { return (a - b).square().sum().item<double>(); }

}  // namespace

at::Tensor folded_weight(const at::Tensor& weight, const at::Tensor& values) {
  const c10::NoGradGuard no_grad;
  at::Tensor folded = weight;
  for (int round = 0; round < kRounds; ++round)
    for (const int64_t dim : {0, 1}) folded = folded * factors(folded, values, dim);
  return distance(folded, values) < (1 - kMuchExplained) * distance(weight, values) ? folded : weight;
}

}  // namespace vernier
