#include "screen/limit_source.h"

#include <ATen/ATen.h>

namespace vernier {

DamageSpectrum empty_spectrum(const TensorId& id, const at::Tensor& weight) {
  DamageSpectrum spectrum;
  spectrum.tensor = name_of(id);
  spectrum.rows = weight.size(0);
  spectrum.cols = weight.size(1);
  const double n = static_cast<double>(weight.numel());
  const double mean = weight.sum(at::kDouble).item<double>() / n;
  spectrum.variance = weight.square().sum(at::kDouble).item<double>() / n - mean * mean;
  return spectrum;
}

}  // namespace vernier
