#pragma once

// Plain loops over rows of floats, compiled for several instruction sets and chosen at start-up. No torch in here.
// Inputs are finite numbers: the compiler is told so, and NaN or infinity give any result (FusedModel checks weights
// and states).

#include <cstdint>

#include "ops/arena.h"

namespace vernier {

/// out[r, :] = x[r, :] / sqrt(mean(x[r, :]^2) + epsilon) * weight
void rms_norm(const Slab& x, const float* weight, float epsilon, const Slab& out);

/// The same after the row's mean was taken off: LayerNorm without its bias (arXiv:1607.06450).
void layer_norm(const Slab& x, const float* weight, float epsilon, const Slab& out);

/// Rotates `heads` heads of `head_dim` side by side in each row (pairs i and i + head_dim/2), then multiplies by scale.
/// cos, sin [rows, head_dim / 2]
void rotate_half(const Slab& x, int64_t heads, int64_t head_dim, const float* cos, const float* sin, float scale);

/// out = silu(gate) * up with gate_up [rows, 2n] = gate | up and out [rows, n]
void silu_multiply(const Slab& gate_up, const Slab& out);

/// The other activations: gelu by the error function or by tanh, relu, x sigmoid(1.702 x).
void gelu_multiply(const Slab& gate_up, const Slab& out);
void gelu_tanh_multiply(const Slab& gate_up, const Slab& out);
void relu_multiply(const Slab& gate_up, const Slab& out);
void quick_gelu_multiply(const Slab& gate_up, const Slab& out);
/// The same without a gate: x, out [rows, n].
void silu(const Slab& x, const Slab& out);
void gelu(const Slab& x, const Slab& out);
void gelu_tanh(const Slab& x, const Slab& out);
void relu(const Slab& x, const Slab& out);
void quick_gelu(const Slab& x, const Slab& out);

/// In place over s[0, size): exp(s - max) inside [first, last), 0 outside. Returns the sum of what is inside, and of a
/// score that stands beside them unless it is nullptr.
float exp_row(float* s, int64_t size, int64_t first, int64_t last, const float* beside = nullptr);

/// x = cap * tanh(x / cap)
void cap_row(float* x, int64_t n, float cap);

void scale_row(float* x, int64_t n, float factor);
/// y += x
void add_row(const float* x, float* y, int64_t n);
/// y = a - b + y
void add_difference(const float* a, const float* b, float* y, int64_t n);

/// What the quarters of either factor are added up to in Strassen's product, q being those of the first half of its rows
/// and then of the second, n values each: sum i to sums + i stride (strassen.cpp). squares[2]: of either half, added up.
void left_quarter_sums(const float* const q[4], int64_t n, float* sums, int64_t stride, float* squares);
void right_quarter_sums(const float* const q[4], int64_t n, float* sums, int64_t stride);

/// Index of the largest value, the first of equals.
int64_t argmax(const float* x, int64_t n);
/// Indices of the min(k, n) largest values, the largest first and of equals the first; k is small.
void largest_indices(const float* x, int64_t n, int64_t k, int32_t* indices);
/// log sum exp
float log_sum_exp(const float* x, int64_t n);
/// Of x under weights e^(beta x): slope and curvature of log sum exp(beta x).
struct TiltedMoments {
  float mean, variance;
};
TiltedMoments tilted_moments(const float* x, int64_t n, float beta);
/// p = exp(x - log_total)
void exp_shifted(const float* x, float log_total, float* p, int64_t n);
/// Of logits x with probabilities p: -sum p log p = sum p (log_total - x)
float entropy(const float* x, const float* p, float log_total, int64_t n);
float sum_squares(const float* x, int64_t n);
/// Mean square distance from the mean.
float variance(const float* x, int64_t n);

/// Of two rows of logits z (base, with probabilities p) and y: see ReferenceTile::compare.
struct RowShift {
  float mean;     ///< r = sum p (y - z)
  float largest;  ///< max of y - z
};
RowShift mean_shift(const float* z, const float* p, const float* y, int64_t n);
/// sum p (exp(d) - 1 - d), d = y - z - shift; accurate for tiny d, exactly 0 for d = 0
float convex_excess(const float* z, const float* p, const float* y, float shift, int64_t n);

/// Per column j: sum x^2, sum |x| (added to) and max |x| (raised).
void accumulate_columns(const Slab& x, double* sum_squares, double* sum_abs, float* abs_max);

/// Round to nearest even.
void to_bfloat16(const float* x, uint16_t* y, int64_t n);

}  // namespace vernier
