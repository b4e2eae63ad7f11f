#pragma once

// Features by the singular directions of the full-precision model's: how much signal and how much of the noise that
// quantizing adds lies in each, and what is left of features that keep the first ones only (after arXiv 2509.21173, which
// sees a low-pass filter in quantization).
//
//   const FeatureSpectrum spectrum(before);                     // [examples, width]
//   const at::Tensor noise = spectrum.energies(after - before); // [examples, bands]

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace vernier {

class FeatureSpectrum {
 public:
  /// Singular indices first ... last, from 1: an octave.
  struct Band {
    int64_t first = 1, last = 1;
  };

  /// Of features less their mean, in float64. @shape features: [examples, width] @cost eigenvectors of [width, width]
  explicit FeatureSpectrum(const at::Tensor& features);

  /// 1, 2, 3 to 4, 5 to 8 ... up to the width or the number of examples.
  const std::vector<Band>& bands() const { return bands_; }
  /// Squares of each row's part in the directions of every band. @shape rows: [n, width] -> [n, bands], float64
  at::Tensor energies(const at::Tensor& rows) const;
  /// Features less their mean, of `before`'s mean. @shape as features
  at::Tensor centred(const at::Tensor& features) const;
  /// Features of which the part in the first `directions` stays, and the mean. @shape as features, float64
  at::Tensor kept(const at::Tensor& features, int64_t directions) const;

 private:
  at::Tensor mean_, directions_;  // [width], [width, width]: columns by falling singular value
  std::vector<Band> bands_;
};

}  // namespace vernier
