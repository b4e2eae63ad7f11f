#include "screen/limit_source.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace vernier {

DamageSpectrum empty_spectrum(const TensorId& id, const at::Tensor& weight) {
  DamageSpectrum spectrum;
  spectrum.tensor = name_of(id);
  spectrum.rows = weight.size(0);
  spectrum.cols = weight.size(1);
  const double n = static_cast<double>(weight.numel());
  double sum = 0, squares = 0;
  constexpr int64_t kRows = 1024;  // at once in float32
  for (int64_t first = 0; first < spectrum.rows; first += kRows) {
    const at::Tensor part = weight.narrow(0, first, std::min(kRows, spectrum.rows - first)).to(at::kFloat);
    sum += part.sum(at::kDouble).item<double>();
    squares += part.square().sum(at::kDouble).item<double>();
  }
  spectrum.variance = squares / n - sum / n * (sum / n);
  return spectrum;
}

}  // namespace vernier
