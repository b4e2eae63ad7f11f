#include "ops/activation_rounding.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "ops/site_rounding.h"
#include "scheme/half_float.h"

namespace vernier {

namespace {

/// A block with NaN or infinity has no scale. It stays broken, which comparisons with NaN would undo one by one.
bool keep_broken(const float* x, float* y, int64_t n) {
  if (std::all_of(x, x + n, [](float value) { return std::isfinite(value); })) return false;
  std::fill_n(y, n, std::numeric_limits<float>::quiet_NaN());
  return true;
}

void round_q8_0(const float* x, float* y, int64_t n) {
  if (keep_broken(x, y, n)) return;
  float largest = 0;
  for (int64_t i = 0; i < n; ++i) largest = std::max(largest, std::fabs(x[i]));
  const float scale = half_to_float(float_to_half(largest / 127.0f));
  if (scale == 0) {  // zeros, or too small for a half: the scale is what is stored, so all of them are zero
    std::fill_n(y, n, 0.0f);
    return;
  }
  const float inverse = 127.0f / largest;  // of the scale before it is rounded to a half
  for (int64_t i = 0; i < n; ++i) y[i] = round_even(x[i] * inverse) * scale;
}

void round_q8_k(const float* x, float* y, int64_t n) {
  if (keep_broken(x, y, n)) return;
  float largest = 0;
  for (int64_t i = 0; i < n; ++i)
    if (std::fabs(x[i]) > std::fabs(largest)) largest = x[i];
  const float inverse = -127.0f / largest, scale = 1.0f / inverse;
  if (!std::isfinite(inverse)) {  // zeros, or nearly
    std::fill_n(y, n, 0.0f);
    return;
  }
  for (int64_t i = 0; i < n; ++i) y[i] = std::min(127.0f, round_even(x[i] * inverse)) * scale;
}

template <class Fn>
void by_blocks(const Slab& x, const Slab& y, int64_t block, Fn&& round) {
  for (int64_t r = 0; r < x.rows; ++r)
    for (int64_t first = 0; first < x.cols; first += block)
      round(x.row(r) + first, y.row(r) + first, std::min(block, x.cols - first));
}

void round_to_integers(const InputRounding& rounding, const float* x, float* y, int64_t n) {
  if (keep_broken(x, y, n)) return;
  float largest = rounding.range;
  if (largest == 0)
    for (int64_t i = 0; i < n; ++i) largest = std::max(largest, std::fabs(x[i]));
  const float step = largest / largest_code(rounding.bits);
  if (step == 0) {
    std::fill_n(y, n, 0.0f);
    return;
  }
  const float most = largest_code(rounding.bits);
  // Clamped before it is rounded: round_even is for small numbers, and a static range may be exceeded by far.
  for (int64_t i = 0; i < n; ++i) y[i] = round_even(std::clamp(x[i] / step, -most, most)) * step;
}

}  // namespace

void round_activations(const InputRounding& rounding, const Slab& x, const Slab& y) {
  if (rounding.site != nullptr) return round_site(*rounding.site, x, y);
  if (rounding.bits > 0)
    return by_blocks(x, y, x.cols, [&](const float* a, float* b, int64_t n) { round_to_integers(rounding, a, b, n); });
  switch (rounding.kernel) {
    case ActivationRounding::kNone:
      if (x.data == y.data) return;
      return by_blocks(x, y, x.cols, [](const float* a, float* b, int64_t n) {
        std::memcpy(b, a, static_cast<size_t>(n) * sizeof(float));
      });
    case ActivationRounding::kHalf:
      return by_blocks(x, y, x.cols, [](const float* a, float* b, int64_t n) {
        for (int64_t i = 0; i < n; ++i) b[i] = half_to_float(float_to_half(a[i]));
      });
    case ActivationRounding::kBFloat16:
      return by_blocks(x, y, x.cols, [](const float* a, float* b, int64_t n) {
        for (int64_t i = 0; i < n; ++i) b[i] = bf16_to_float(float_to_bf16(a[i]));
      });
    case ActivationRounding::kQ8_0: return by_blocks(x, y, 32, round_q8_0);
    case ActivationRounding::kQ8_K: return by_blocks(x, y, 256, round_q8_k);
  }
}

}  // namespace vernier
