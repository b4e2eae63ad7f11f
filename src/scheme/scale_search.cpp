#include "scheme/scale_search.h"

#include <cmath>
#include <initializer_list>

#include "scheme/half_float.h"

namespace vernier {

namespace {

constexpr int kLanes = 8;

float total(const float (&lane)[kLanes]) {
  return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

inline float clamp_to(float t, float lowest, float highest) {
  t = t < lowest ? lowest : t;
  return t > highest ? highest : t;
}

/// The code of x on the grid q / inverse - shift; clamped first, so that rounding sees small numbers only.
inline float code_of(float x, float shift, float inverse, float lowest, float highest) {
  return round_even(clamp_to((x + shift) * inverse, lowest, highest));
}

CodeSums code_sums(const float* x, const float* w, int n, float shift, float inverse, float lowest, float highest) {
  float sum_q[kLanes] = {}, sum_qq[kLanes] = {}, sum_qx[kLanes] = {};
  for (int i = 0; i < n; i += kLanes) {
    for (int l = 0; l < kLanes; ++l) {
      const float q = code_of(x[i + l], shift, inverse, lowest, highest);
      const float wq = w[i + l] * q;
      sum_q[l] += wq;
      sum_qq[l] += wq * q;
      sum_qx[l] += wq * x[i + l];
    }
  }
  return {.q = total(sum_q), .qq = total(sum_qq), .qx = total(sum_qx)};
}

float grid_error(const float* x, const float* w, int n, float shift, float inverse, float lowest, float highest,
                 float scale) {
  float sum[kLanes] = {};
  for (int i = 0; i < n; i += kLanes) {
    for (int l = 0; l < kLanes; ++l) {
      const float q = code_of(x[i + l], shift, inverse, lowest, highest);
      const float error = scale * q - shift - x[i + l];
      sum[l] += w[i + l] * error * error;
    }
  }
  return total(sum);
}

float inverse_of(float scale) { return scale == 0.0f ? 0.0f : 1.0f / scale; }

}  // namespace

DataSums data_sums(const float* x, const float* w, int n) {
  float sum_w[kLanes] = {}, sum_x[kLanes] = {}, sum_xx[kLanes] = {};
  for (int i = 0; i < n; i += kLanes) {
    for (int l = 0; l < kLanes; ++l) {
      const float wx = w[i + l] * x[i + l];
      sum_w[l] += w[i + l];
      sum_x[l] += wx;
      sum_xx[l] += wx * x[i + l];
    }
  }
  return {.w = total(sum_w), .x = total(sum_x), .xx = total(sum_xx)};
}

AffineFit search_affine(const float* x, const float* w, int n, int levels) {
  float min = 0.0f, max = 0.0f;  // a minimum above zero cannot be stored
  for (int i = 0; i < n; ++i) {
    min = x[i] < min ? x[i] : min;
    max = x[i] > max ? x[i] : max;
  }
  if (max == min) return {};
  const DataSums data = data_sums(x, w, n);
  const float top = static_cast<float>(levels);

  // Steps that span the range, around `levels`: fewer leave the ends unused, more clip them.
  constexpr int kCandidates = 21;
  const float first = -0.1f * top, step = 0.02f * top;
  AffineFit best{.scale = (max - min) / top, .min = -min};
  double best_error = affine_error(x, w, n, levels, best.scale, best.min);
  for (int k = 0; k < kCandidates; ++k) {
    const float inverse = (top + first + step * static_cast<float>(k)) / (max - min);
    const CodeSums sums = code_sums(x, w, n, -min, inverse, 0.0f, top);
    // Minimise sum w (s q - m - x)^2 over s and m >= 0.
    const double det = static_cast<double>(data.w) * sums.qq - static_cast<double>(sums.q) * sums.q;
    if (det <= 0.0) continue;
    double s = (static_cast<double>(data.w) * sums.qx - static_cast<double>(data.x) * sums.q) / det;
    double m = (static_cast<double>(sums.q) * sums.qx - static_cast<double>(sums.qq) * data.x) / det;
    if (m < 0.0) {
      m = 0.0;
      s = sums.qx / static_cast<double>(sums.qq);
    }
    if (s <= 0.0) continue;
    const double error = data.xx + s * (s * sums.qq - 2.0 * (m * sums.q + sums.qx)) + m * (m * data.w + 2.0 * data.x);
    if (error < best_error) {
      best_error = error;
      best = {.scale = static_cast<float>(s), .min = static_cast<float>(m)};
    }
  }
  return best;
}

float affine_error(const float* x, const float* w, int n, int levels, float scale, float min) {
  return grid_error(x, w, n, min, inverse_of(scale), 0.0f, static_cast<float>(levels), scale);
}

CodeSums affine_sums(const float* x, const float* w, int n, int levels, float scale, float min) {
  return code_sums(x, w, n, min, inverse_of(scale), 0.0f, static_cast<float>(levels));
}

void affine_codes(const float* x, int n, int levels, float scale, float min, uint8_t* codes) {
  const float inverse = inverse_of(scale), top = static_cast<float>(levels);
  for (int i = 0; i < n; ++i) codes[i] = static_cast<uint8_t>(code_of(x[i], min, inverse, 0.0f, top));
}

float search_scale(const float* x, const float* w, int n, int lowest, int highest) {
  float peak = 0.0f, size = 0.0f;
  for (int i = 0; i < n; ++i) {
    const float magnitude = std::fabs(x[i]);
    peak = magnitude > size ? x[i] : peak;
    size = magnitude > size ? magnitude : size;
  }
  if (size == 0.0f) return 0.0f;

  // The peak goes near either end of the range; a quarter of the candidates near the shorter end are enough to cover
  // it.
  constexpr int kCandidates = 17;
  const float low = static_cast<float>(lowest), high = static_cast<float>(highest);
  const float step = static_cast<float>(highest - lowest) * 0.0125f;
  float best = 0.0f;
  double best_score = -1.0;  // sum w x^2 - error, the part that the grid explains
  for (const float end : {low, high}) {
    for (int k = 0; k < kCandidates; ++k) {
      const float offset = step * static_cast<float>(k - kCandidates / 2);
      const float inverse = (end + (end < 0.0f ? -offset : offset)) / peak;
      const CodeSums sums = code_sums(x, w, n, 0.0f, inverse, low, high);
      if (!(sums.qq > 0.0f)) continue;
      const double scale = sums.qx / static_cast<double>(sums.qq);
      const double score = scale * sums.qx;
      if (score > best_score) {
        best_score = score;
        best = static_cast<float>(scale);
      }
    }
  }
  return best;
}

float scaled_error(const float* x, const float* w, int n, int lowest, int highest, float scale) {
  return grid_error(x, w, n, 0.0f, inverse_of(scale), static_cast<float>(lowest), static_cast<float>(highest), scale);
}

CodeSums scaled_sums(const float* x, const float* w, int n, int lowest, int highest, float scale) {
  return code_sums(x, w, n, 0.0f, inverse_of(scale), static_cast<float>(lowest), static_cast<float>(highest));
}

void scaled_codes(const float* x, int n, int lowest, int highest, float scale, int8_t* codes) {
  const float inverse = inverse_of(scale), low = static_cast<float>(lowest), high = static_cast<float>(highest);
  for (int i = 0; i < n; ++i) codes[i] = static_cast<int8_t>(code_of(x[i], 0.0f, inverse, low, high));
}

}  // namespace vernier
