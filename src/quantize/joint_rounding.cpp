#include "quantize/joint_rounding.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <vector>

namespace vernier {

namespace {

constexpr int64_t kCostsAtOnce = int64_t{1} << 26;

}  // namespace

JointRounding::JointRounding(const Codebook& book, const at::Device& device)
    : joint_(book.joint()), dims_(book.dims()), magnitudes_(book.magnitudes()), even_(book.signs_are_even()) {
  std::vector<float> levels;
  for (Code code = 0; code <= book.top_code(); ++code) levels.push_back(book.level(code));
  levels_ = at::tensor(levels, at::kFloat).to(device);
  const std::span<const uint8_t> numbers = book.points();
  const at::Tensor points = at::empty({static_cast<int64_t>(numbers.size()) / dims_, dims_}, at::kByte);
  std::copy(numbers.begin(), numbers.end(), points.data_ptr<uint8_t>());
  points_ = points.to(device);
  sizes_ = levels_.narrow(0, magnitudes_, magnitudes_)
               .index_select(0, points_.reshape(-1).to(at::kLong))
               .reshape(points_.sizes());
}

at::Tensor JointRounding::levels(const at::Tensor& codes) const {
  return levels_.index_select(0, codes.reshape(-1).to(at::kInt)).reshape(codes.sizes());
}

at::Tensor JointRounding::codes(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& weights) const {
  const c10::NoGradGuard no_grad;
  const int64_t rows = x.size(0), sets = x.size(1) / dims_;
  const at::Tensor w = weights.reshape({sets, dims_});
  // cost / scale = scale * sum w size^2 - 2 sum w |x| size, one product for each set of columns: [sets, dims + 1, points]
  const at::Tensor table = at::cat(
      {(-2 * sizes_.t()).unsqueeze(0).expand({sets, -1, -1}), at::matmul(w, sizes_.square().t()).unsqueeze(1)}, 1);
  const int64_t at_once = std::max<int64_t>(1, kCostsAtOnce / (sets * sizes_.size(0)));
  std::vector<at::Tensor> parts;
  for (int64_t row = 0; row < rows; row += at_once) {
    const int64_t count = std::min(at_once, rows - row);
    parts.push_back(codes_of_rows(x.narrow(0, row, count), scale.narrow(0, row, count), table, w));
  }
  return parts.size() == 1 ? parts[0] : at::cat(parts, 0);
}

at::Tensor JointRounding::codes_of_rows(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& table,
                                        const at::Tensor& weights) const {
  const int64_t rows = x.size(0), cols = x.size(1), sets = cols / dims_;
  const at::Tensor by_segment = x.reshape({rows, scale.size(1), -1});
  // A negative scale is a positive one with all signs turned.
  at::Tensor negative = (by_segment * scale.sign() < 0).reshape({rows, sets, dims_});
  const at::Tensor of_sets = scale.abs().expand_as(by_segment).reshape({rows, sets, dims_}).narrow(2, 0, 1);
  at::Tensor wanted = x.abs().reshape({rows, sets, dims_}) * weights;
  if (even_) {
    constexpr int64_t kRun = Codebook::kRun;
    const at::Tensor runs = wanted.reshape({rows, -1, kRun}), signs = negative.reshape({rows, -1, kRun});
    const at::Tensor odd = signs.sum(-1, /*keepdim=*/true).remainder(2) == 1;
    const at::Tensor place = at::arange(kRun, at::TensorOptions(x.device()).dtype(at::kLong));
    const at::Tensor turned = (runs.argmin(-1, /*keepdim=*/true) == place).logical_and(odd);
    wanted = at::where(turned, -runs, runs).reshape(wanted.sizes());
    negative = signs.logical_xor(turned).reshape(negative.sizes());
  }
  const at::Tensor costs = at::bmm(at::cat({wanted, of_sets}, 2).transpose(0, 1), table);  // [sets, rows, points]
  const at::Tensor best = costs.argmin(-1).t().reshape(-1);
  const at::Tensor number = points_.index_select(0, best).reshape({rows, sets, dims_});
  return at::where(negative, magnitudes_ - 1 - number, magnitudes_ + number).to(at::kByte).reshape({rows, cols});
}

}  // namespace vernier
