#include "ops/kernels.h"

#include <algorithm>
#include <bit>
#include <cmath>

// Compiled once per instruction set. The loops are written so that GCC vectorises each of them; finite-math flags are
// set on this file alone (see CMakeLists.txt): without them a max reduction stays scalar and costs 3x.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define VERNIER_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define VERNIER_CLONES
#endif

namespace vernier {

namespace {

// Selects and maxima are written as ternaries on values: std::max takes references, and its loops stay scalar.
[[gnu::always_inline]] inline float larger(float a, float b) { return a > b ? a : b; }

/// x, clamped to what float32 can hold the power of, is n ln 2 + r with |r| <= ln2 / 2, and e^r = 1 + r + tail.
struct ReducedExponent {
  float x, n, r, tail, power;  // power = 2^n
};

// Cody-Waite reduction and a degree-6 polynomial: e^x within 2 ulp. Rounds by adding 1.5 * 2^23, whose low bits then
// are n.
[[gnu::always_inline]] inline ReducedExponent reduce(float x) {
  x = x < -87.3f ? -87.3f : x;
  x = x > 88.0f ? 88.0f : x;
  constexpr float kRound = 12582912.0f;
  const float shifted = x * 1.44269504f + kRound;
  const float n = shifted - kRound;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  return {x, n, r, p * r * r, std::bit_cast<float>((std::bit_cast<uint32_t>(shifted) << 23) + 0x3F800000u)};
}

[[gnu::always_inline]] inline float fast_exp(float x) {
  const ReducedExponent e = reduce(x);
  return (e.tail + e.r + 1.0f) * e.power;
}

/// e^x - 1 - x without cancellation: where it is small n is 0, r is x itself and only the tail is left.
[[gnu::always_inline]] inline float fast_exp_excess(float x) {
  const ReducedExponent e = reduce(x);
  return e.tail * e.power + ((e.power - 1.0f) * (1.0f + e.r) - e.n * 0.693147181f) + (e.x - x);
}

}  // namespace

VERNIER_CLONES void rms_norm(const Slab& x, const float* weight, float epsilon, const Slab& out) {
  const int64_t n = x.cols;
  for (int64_t r = 0; r < x.rows; ++r) {
    const float* a = x.row(r);
    float* b = out.row(r);
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; ++i) sum += a[i] * a[i];
    const float scale = 1.0f / std::sqrt(sum / static_cast<float>(n) + epsilon);
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) b[i] = a[i] * scale * weight[i];
  }
}

VERNIER_CLONES void layer_norm(const Slab& x, const float* weight, float epsilon, const Slab& out) {
  const int64_t n = x.cols;
  for (int64_t r = 0; r < x.rows; ++r) {
    const float* a = x.row(r);
    float* b = out.row(r);
    float sum = 0, squares = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; ++i) sum += a[i];
    const float mean = sum / static_cast<float>(n);
#pragma omp simd reduction(+ : squares)
    for (int64_t i = 0; i < n; ++i) squares += (a[i] - mean) * (a[i] - mean);
    const float scale = 1.0f / std::sqrt(squares / static_cast<float>(n) + epsilon);
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) b[i] = (a[i] - mean) * scale * weight[i];
  }
}

VERNIER_CLONES void rotate_half(const Slab& x, int64_t heads, int64_t head_dim, const float* cos, const float* sin,
                                float scale) {
  const int64_t half = head_dim / 2;
  for (int64_t r = 0; r < x.rows; ++r) {
    const float* c = cos + r * half;
    const float* s = sin + r * half;
    for (int64_t h = 0; h < heads; ++h) {
      float* a = x.row(r) + h * head_dim;
      float* b = a + half;
#pragma omp simd
      for (int64_t i = 0; i < half; ++i) {
        const float u = a[i], v = b[i];
        a[i] = (u * c[i] - v * s[i]) * scale;
        b[i] = (v * c[i] + u * s[i]) * scale;
      }
    }
  }
}

VERNIER_CLONES void silu_multiply(const Slab& gate_up, const Slab& out) {
  const int64_t n = out.cols;
  for (int64_t r = 0; r < out.rows; ++r) {
    const float* gate = gate_up.row(r);
    const float* up = gate + n;
    float* y = out.row(r);
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) y[i] = gate[i] / (1.0f + fast_exp(-gate[i])) * up[i];
  }
}

// gelu(x) = x * sigmoid(2u) with u = sqrt(2/pi) (x + 0.044715 x^3), since (1 + tanh u) / 2 = sigmoid(2u)
[[gnu::always_inline]] inline float gelu_tanh_of(float x) {
  const float u = 1.59576912f * (x + 0.044715f * x * x * x);
  return x / (1.0f + fast_exp(-u));
}
[[gnu::always_inline]] inline float silu_of(float x) { return x / (1.0f + fast_exp(-x)); }
// Half of erfc(x / sqrt 2) for x >= 0 by Numerical Recipes' rational Chebyshev fit, within 1.2e-7 of its value: what is
// left of it far from 0 keeps its digits, where 1 + erf would lose them.
[[gnu::always_inline]] inline float upper_tail_of(float x) {
  const float z = x * 0.70710678f, t = 1.0f / (1.0f + 0.5f * z);
  float p = 0.17087277f;
  p = p * t - 0.82215223f;
  p = p * t + 1.48851587f;
  p = p * t - 1.13520398f;
  p = p * t + 0.27886807f;
  p = p * t - 0.18628806f;
  p = p * t + 0.09678418f;
  p = p * t + 0.37409196f;
  p = p * t + 1.00002368f;
  p = p * t - 1.26551223f;
  return 0.5f * t * fast_exp(p - z * z);
}
// x times the share of a normal distribution below it
[[gnu::always_inline]] inline float gelu_of(float x) {
  const float tail = upper_tail_of(std::fabs(x));
  return x * (x > 0.0f ? 1.0f - tail : tail);
}
[[gnu::always_inline]] inline float relu_of(float x) { return x > 0.0f ? x : 0.0f; }
[[gnu::always_inline]] inline float quick_gelu_of(float x) { return x / (1.0f + fast_exp(-1.702f * x)); }

template <class Act>
[[gnu::always_inline]] inline void multiply_rows(const Slab& gate_up, const Slab& out, Act act) {
  const int64_t n = out.cols;
  for (int64_t r = 0; r < out.rows; ++r) {
    const float* gate = gate_up.row(r);
    const float* up = gate + n;
    float* y = out.row(r);
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) y[i] = act(gate[i]) * up[i];
  }
}

template <class Act>
[[gnu::always_inline]] inline void apply_rows(const Slab& in, const Slab& out, Act act) {
  for (int64_t r = 0; r < out.rows; ++r) {
    const float* x = in.row(r);
    float* y = out.row(r);
#pragma omp simd
    for (int64_t i = 0; i < out.cols; ++i) y[i] = act(x[i]);
  }
}

VERNIER_CLONES void gelu_multiply(const Slab& gate_up, const Slab& out) {
  multiply_rows(
      gate_up, out, [](float x) __attribute__((always_inline)) { return gelu_of(x); });
}
VERNIER_CLONES void gelu_tanh_multiply(const Slab& gate_up, const Slab& out) {
  multiply_rows(
      gate_up, out, [](float x) __attribute__((always_inline)) { return gelu_tanh_of(x); });
}
VERNIER_CLONES void relu_multiply(const Slab& gate_up, const Slab& out) {
  multiply_rows(
      gate_up, out, [](float x) __attribute__((always_inline)) { return relu_of(x); });
}
VERNIER_CLONES void quick_gelu_multiply(const Slab& gate_up, const Slab& out) {
  multiply_rows(
      gate_up, out, [](float x) __attribute__((always_inline)) { return quick_gelu_of(x); });
}
VERNIER_CLONES void silu(const Slab& x, const Slab& out) {
  apply_rows(
      x, out, [](float v) __attribute__((always_inline)) { return silu_of(v); });
}
VERNIER_CLONES void gelu(const Slab& x, const Slab& out) {
  apply_rows(
      x, out, [](float v) __attribute__((always_inline)) { return gelu_of(v); });
}
VERNIER_CLONES void gelu_tanh(const Slab& x, const Slab& out) {
  apply_rows(
      x, out, [](float v) __attribute__((always_inline)) { return gelu_tanh_of(v); });
}
VERNIER_CLONES void relu(const Slab& x, const Slab& out) {
  apply_rows(
      x, out, [](float v) __attribute__((always_inline)) { return relu_of(v); });
}

VERNIER_CLONES void quick_gelu(const Slab& x, const Slab& out) {
  apply_rows(
      x, out, [](float v) __attribute__((always_inline)) { return quick_gelu_of(v); });
}

VERNIER_CLONES float exp_row(float* s, int64_t size, int64_t first, int64_t last, const float* beside) {
  float largest = s[first];
#pragma omp simd reduction(max : largest)
  for (int64_t i = first; i < last; ++i) largest = larger(s[i], largest);
  if (beside != nullptr) largest = larger(*beside, largest);
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = first; i < last; ++i) {
    const float e = fast_exp(s[i] - largest);
    s[i] = e;
    sum += e;
  }
  if (beside != nullptr) sum += fast_exp(*beside - largest);
  std::fill(s, s + first, 0.0f);
  std::fill(s + last, s + size, 0.0f);
  return sum;
}

// tanh(u) = 2 sigmoid(2u) - 1; scores are far from where its cancellation would show in a softmax
VERNIER_CLONES void cap_row(float* x, int64_t n, float cap) {
  const float twice = 2.0f / cap;
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) x[i] = cap * (2.0f / (1.0f + fast_exp(-twice * x[i])) - 1.0f);
}

VERNIER_CLONES void scale_row(float* x, int64_t n, float factor) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) x[i] *= factor;
}

VERNIER_CLONES void add_row(const float* x, float* y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] += x[i];
}

VERNIER_CLONES void add_difference(const float* a, const float* b, float* y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] += a[i] - b[i];
}

VERNIER_CLONES void left_quarter_sums(const float* const q[4], int64_t n, float* sums, int64_t stride, float* squares) {
  const float *a11 = q[0], *a12 = q[1], *a21 = q[2], *a22 = q[3];
  float *s1 = sums, *s2 = s1 + stride, *s3 = s2 + stride, *s4 = s3 + stride;
  float above = 0, below = 0;
#pragma omp simd reduction(+ : above, below)
  for (int64_t i = 0; i < n; ++i) {
    const float first = a21[i] + a22[i], second = first - a11[i];
    s1[i] = first;
    s2[i] = second;
    s3[i] = a11[i] - a21[i];
    s4[i] = a12[i] - second;
    above += a11[i] * a11[i] + a12[i] * a12[i];
    below += a21[i] * a21[i] + a22[i] * a22[i];
  }
  squares[0] = above;
  squares[1] = below;
}

VERNIER_CLONES void right_quarter_sums(const float* const q[4], int64_t n, float* sums, int64_t stride) {
  const float *b11 = q[0], *b12 = q[1], *b21 = q[2], *b22 = q[3];
  float *t1 = sums, *t2 = t1 + stride, *t3 = t2 + stride, *t4 = t3 + stride;
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const float first = b12[i] - b11[i], second = b22[i] - first;
    t1[i] = first;
    t2[i] = second;
    t3[i] = b22[i] - b12[i];
    t4[i] = b21[i] - second;
  }
}

VERNIER_CLONES static float largest_of(const float* x, int64_t n) {
  float largest = x[0];
#pragma omp simd reduction(max : largest)
  for (int64_t i = 0; i < n; ++i) largest = larger(x[i], largest);
  return largest;
}

int64_t argmax(const float* x, int64_t n) {
  const float largest = largest_of(x, n);
  return std::find(x, x + n, largest) - x;
}

VERNIER_CLONES static bool any_above(const float* x, int64_t n, float bound) {
  int above = 0;
#pragma omp simd reduction(| : above)
  for (int64_t i = 0; i < n; ++i) above |= x[i] > bound ? 1 : 0;
  return above != 0;
}

void largest_indices(const float* x, int64_t n, int64_t k, int32_t* indices) {
  // Few values ever enter: a block without one above the smallest so far costs a vector comparison.
  constexpr int64_t kBlock = 64;
  int64_t found = 0;
  for (int64_t first = 0; first < n; first += kBlock) {
    const int64_t last = std::min(n, first + kBlock);
    if (found == k && !any_above(x + first, last - first, x[indices[k - 1]])) continue;
    for (int64_t i = first; i < last; ++i) {
      if (found == k && !(x[i] > x[indices[k - 1]])) continue;
      if (found < k) ++found;
      int64_t place = found - 1;
      for (; place > 0 && x[i] > x[indices[place - 1]]; --place) indices[place] = indices[place - 1];
      indices[place] = static_cast<int32_t>(i);
    }
  }
}

VERNIER_CLONES float log_sum_exp(const float* x, int64_t n) {
  const float largest = largest_of(x, n);
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) sum += fast_exp(x[i] - largest);
  return largest + std::log(sum);
}

VERNIER_CLONES TiltedMoments tilted_moments(const float* x, int64_t n, float beta) {
  const float largest = largest_of(x, n);
  float total = 0, sum = 0, squares = 0;
#pragma omp simd reduction(+ : total, sum, squares)
  for (int64_t i = 0; i < n; ++i) {
    const float below = x[i] - largest, weight = fast_exp(beta * below);
    total += weight;
    sum += weight * below;
    squares += weight * below * below;
  }
  const float mean = sum / total;
  return {largest + mean, squares / total - mean * mean};
}

VERNIER_CLONES void exp_shifted(const float* x, float log_total, float* p, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) p[i] = fast_exp(x[i] - log_total);
}

VERNIER_CLONES float entropy(const float* x, const float* p, float log_total, int64_t n) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) sum += p[i] * (log_total - x[i]);
  return sum;
}

VERNIER_CLONES float sum_squares(const float* x, int64_t n) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) sum += x[i] * x[i];
  return sum;
}

VERNIER_CLONES float variance(const float* x, int64_t n) {
  float sum = 0, squares = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) sum += x[i];
  const float mean = sum / static_cast<float>(n);
#pragma omp simd reduction(+ : squares)
  for (int64_t i = 0; i < n; ++i) squares += (x[i] - mean) * (x[i] - mean);
  return squares / static_cast<float>(n);
}

VERNIER_CLONES RowShift mean_shift(const float* z, const float* p, const float* y, int64_t n) {
  float mean = 0, largest = y[0] - z[0];
#pragma omp simd reduction(+ : mean) reduction(max : largest)
  for (int64_t i = 0; i < n; ++i) {
    const float d = y[i] - z[i];
    mean += p[i] * d;
    largest = larger(d, largest);
  }
  return {mean, largest};
}

VERNIER_CLONES float convex_excess(const float* z, const float* p, const float* y, float shift, int64_t n) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) sum += p[i] * fast_exp_excess(y[i] - z[i] - shift);
  return sum;
}

VERNIER_CLONES void accumulate_columns(const Slab& x, double* sum_squares, double* sum_abs, float* abs_max) {
  for (int64_t r = 0; r < x.rows; ++r) {
    const float* a = x.row(r);
#pragma omp simd
    for (int64_t j = 0; j < x.cols; ++j) {
      const float magnitude = std::fabs(a[j]);
      sum_squares[j] += static_cast<double>(a[j]) * a[j];
      sum_abs[j] += magnitude;
      abs_max[j] = larger(abs_max[j], magnitude);
    }
  }
}

VERNIER_CLONES void to_bfloat16(const float* x, uint16_t* y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const auto bits = std::bit_cast<uint32_t>(x[i]);
    y[i] = static_cast<uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
  }
}

}  // namespace vernier
