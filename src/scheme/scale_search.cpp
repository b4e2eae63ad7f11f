#include "scheme/scale_search.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <initializer_list>

#include "scheme/half_float.h"
#include "scheme/lanes.h"

namespace vernier {

namespace {

/// The grid value = q / inverse - shift with q in lowest .. highest.
struct LaneGrid {
  float shift, inverse, lowest, highest;

  /// Codes of x; clamped before rounding, so that rounding sees small numbers only.
  Lanes codes(Lanes x) const {
    const Lanes low = Lanes{} + lowest, high = Lanes{} + highest, round = Lanes{} + kRoundShift;
    Lanes t = (x + shift) * inverse;
    t = t < low ? low : t;
    t = t > high ? high : t;
    return (t + round) - round;
  }
};

CodeSums code_sums(const float* x, const float* w, int n, const LaneGrid& grid) {
  Lanes sum_q{}, sum_qq{}, sum_qx{};
  for (int i = 0; i < n; i += kLanes) {
    const Lanes value = load(x + i), q = grid.codes(value), wq = load(w + i) * q;
    sum_q += wq;
    sum_qq += wq * q;
    sum_qx += wq * value;
  }
  return {.q = total(sum_q), .qq = total(sum_qq), .qx = total(sum_qx)};
}

float grid_error(const float* x, const float* w, int n, const LaneGrid& grid, float scale) {
  Lanes sum{};
  for (int i = 0; i < n; i += kLanes) {
    const Lanes value = load(x + i), error = scale * grid.codes(value) - grid.shift - value;
    sum += load(w + i) * error * error;
  }
  return total(sum);
}

constexpr int kFine = 17, kCoarse = 5;

/// How many codes more (clipping the ends) or fewer than `span` the data are spread over, for the k-th candidate:
/// densely around none, which tries alignments, and for few levels coarsely up to 44% more, since there clipping pays.
float candidate(int k, float span) {
  if (k >= kFine) return (0.16f + 0.07f * static_cast<float>(k - kFine)) * span;
  const float reach = std::min(0.1f * span, 6.0f);
  return reach * static_cast<float>(k - kFine / 2) / static_cast<float>(kFine / 2);
}

int candidates(float span) { return span <= 15.0f ? kFine + kCoarse : kFine; }

constexpr int kPolish = 3;  // rounds of: the best codes for a fit, the best fit for its codes

struct Solution {
  AffineFit fit;
  double error;
};

/// Minimises sum w (s q - m - x)^2 over s > 0 and m >= 0; the error is infinite where there is no such s.
Solution solve_affine(const DataSums& data, const CodeSums& sums) {
  const double w = data.w, x = data.x, q = sums.q, qq = sums.qq, qx = sums.qx;
  const double det = w * qq - q * q;
  if (!(det > 0.0)) return {.fit = {}, .error = INFINITY};
  double s = (w * qx - x * q) / det, m = (q * qx - qq * x) / det;
  if (m < 0.0) {
    m = 0.0;
    s = qx / qq;
  }
  if (!(s > 0.0)) return {.fit = {}, .error = INFINITY};
  return {.fit = {.scale = static_cast<float>(s), .min = static_cast<float>(m)},
          .error = data.xx + s * (s * qq - 2.0 * (m * q + qx)) + m * (m * w + 2.0 * x)};
}

LaneGrid affine_grid(int levels, float scale, float min) {
  return {.shift = min, .inverse = inverse_scale(scale), .lowest = 0.0f, .highest = static_cast<float>(levels)};
}

LaneGrid scaled_grid(int lowest, int highest, float scale) {
  return {.shift = 0.0f,
          .inverse = inverse_scale(scale),
          .lowest = static_cast<float>(lowest),
          .highest = static_cast<float>(highest)};
}

}  // namespace

DataSums data_sums(const float* x, const float* w, int n) {
  Lanes sum_w{}, sum_x{}, sum_xx{};
  for (int i = 0; i < n; i += kLanes) {
    const Lanes value = load(x + i), weight = load(w + i), wx = weight * value;
    sum_w += weight;
    sum_x += wx;
    sum_xx += wx * value;
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

  AffineFit best{.scale = (max - min) / top, .min = -min};
  double best_error = affine_error(x, w, n, levels, best.scale, best.min);
  const auto consider = [&](float inverse, float shift) {
    const CodeSums sums = code_sums(x, w, n, {.shift = shift, .inverse = inverse, .lowest = 0.0f, .highest = top});
    const Solution next = solve_affine(data, sums);
    if (!(next.error < best_error)) return false;
    best_error = next.error;
    best = next.fit;
    return true;
  };
  for (int k = 0; k < candidates(top); ++k) consider((top + candidate(k, top)) / (max - min), -min);
  for (int round = 0; round < kPolish; ++round) {
    if (!consider(inverse_scale(best.scale), best.min)) break;
  }
  return best;
}

float affine_error(const float* x, const float* w, int n, int levels, float scale, float min) {
  return grid_error(x, w, n, affine_grid(levels, scale, min), scale);
}

CodeSums affine_sums(const float* x, const float* w, int n, int levels, float scale, float min) {
  return code_sums(x, w, n, affine_grid(levels, scale, min));
}

float search_scale(const float* x, const float* w, int n, int lowest, int highest) {
  float peak = 0.0f, size = 0.0f;
  for (int i = 0; i < n; ++i) {
    const float magnitude = std::fabs(x[i]);
    peak = magnitude > size ? x[i] : peak;
    size = magnitude > size ? magnitude : size;
  }
  if (size == 0.0f) return 0.0f;

  // The peak goes near either end of the range.
  const float low = static_cast<float>(lowest), high = static_cast<float>(highest), span = high - low;
  float best = 0.0f;
  double best_score = -1.0;  // sum w x^2 - error, the part that the grid explains
  const auto consider = [&](float inverse) {
    const CodeSums sums = code_sums(x, w, n, {.shift = 0.0f, .inverse = inverse, .lowest = low, .highest = high});
    if (!(sums.qq > 0.0f)) return false;
    const double scale = sums.qx / static_cast<double>(sums.qq), score = scale * sums.qx;
    if (!(score > best_score)) return false;
    best_score = score;
    best = static_cast<float>(scale);
    return true;
  };
  for (const float end : {low, high}) {
    if (end == -low) break;  // a range with two equal sides
    for (int k = 0; k < candidates(span); ++k) {
      const float offset = candidate(k, span);
      consider((end < 0.0f ? end - offset : end + offset) / peak);
    }
  }
  for (int round = 0; round < kPolish; ++round) {
    if (!consider(inverse_scale(best))) break;
  }
  return best;
}

float scaled_error(const float* x, const float* w, int n, int lowest, int highest, float scale) {
  return grid_error(x, w, n, scaled_grid(lowest, highest, scale), scale);
}

CodeSums scaled_sums(const float* x, const float* w, int n, int lowest, int highest, float scale) {
  return code_sums(x, w, n, scaled_grid(lowest, highest, scale));
}

void nearest_uniform(const Step& step, int lowest, int highest, const float* x, int64_t n, Code* codes, int first) {
  const LaneGrid grid{.shift = -step.offset,
                      .inverse = inverse_scale(step.scale),
                      .lowest = static_cast<float>(lowest),
                      .highest = static_cast<float>(highest)};
  const auto nearest = [&](const float* values, Code* out) {
    const LaneCodes q = __builtin_convertvector(grid.codes(search_values(load(values))), LaneCodes) + (first - lowest);
    std::memcpy(out, &q, sizeof q);
  };
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) nearest(x + i, codes + i);
  if (i == n) return;
  float rest[kLanes] = {};
  Code rest_codes[kLanes];
  std::copy(x + i, x + n, rest);
  nearest(rest, rest_codes);
  std::copy(rest_codes, rest_codes + (n - i), codes + i);
}

}  // namespace vernier
