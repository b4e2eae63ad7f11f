// The formats of the attention cache.

#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/activation_rounding.h"
#include "ops/site_rounding.h"
#include "scheme/e4m3.h"
#include "scheme/half_float.h"

namespace vernier {

namespace {

/// Four bits as llama.cpp's cache has them: the value of the largest magnitude becomes code 0, which is -8.
/// @source ggml-quants.c quantize_row_q4_0_ref
void round_q4_0(float* x, int64_t n) {
  float largest = 0;
  for (int64_t i = 0; i < n; ++i)
    if (std::fabs(x[i]) > std::fabs(largest)) largest = x[i];
  const float scale = largest / -8.0f, stored = half_to_float(float_to_half(scale));
  const float inverse = scale == 0 ? 0.0f : 1.0f / scale;
  for (int64_t i = 0; i < n; ++i) x[i] = (std::min(15.0f, std::trunc(x[i] * inverse + 8.5f)) - 8.0f) * stored;
}

void round_e4m3(float* x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) x[i] = e4m3_value(e4m3_pattern(e4m3_nearest(x[i])));
}

}  // namespace

void round_cache(const CacheFormat& format, const Slab& x, int64_t heads) {
  constexpr int64_t kBlock = 32;
  switch (format.kind) {
    case CacheFormat::Kind::kExact: return;
    case CacheFormat::Kind::kInteger: {
      const int64_t width = x.cols / heads;
      for (int64_t h = 0; h < heads; ++h) {
        const Slab head = x.columns(h * width, width);
        round_activations(InputRounding(format.bits, 0), head, head);
      }
      return;
    }
    case CacheFormat::Kind::kQ8_0: return round_activations(ActivationRounding::kQ8_0, x, x);
    case CacheFormat::Kind::kQ4_0:
    case CacheFormat::Kind::kE4M3: break;
  }
  for (int64_t r = 0; r < x.rows; ++r) {
    float* row = x.row(r);
    if (!std::all_of(row, row + x.cols, [](float value) { return std::isfinite(value); }))
      std::fill_n(row, x.cols, std::numeric_limits<float>::quiet_NaN());
    else if (format.kind == CacheFormat::Kind::kE4M3)
      round_e4m3(row, x.cols);
    else
      for (int64_t first = 0; first < x.cols; first += kBlock)
        round_q4_0(row + first, std::min(kBlock, x.cols - first));
  }
}

}  // namespace vernier
