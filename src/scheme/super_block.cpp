#include "scheme/super_block.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>

#include "scheme/half_float.h"
#include "scheme/scale_search.h"

namespace vernier {

namespace {

constexpr int kIntegerRounds = 3;  // of: choose integers for (d, dmin), refit (d, dmin) to them

/// The nearest half to a scale, but never zero for a scale that is not.
float stored_scale(double value) {
  const float half = round_to_half(static_cast<float>(value));
  if (half != 0.0f || value == 0.0) return half;
  return value < 0.0 ? -kMinHalf : kMinHalf;
}

int nearest_step(float value, float unit, int lowest, int highest) {
  if (unit == 0.0f) return 0;
  const float t = value / unit;
  if (!(t > static_cast<float>(lowest))) return lowest;
  if (t >= static_cast<float>(highest)) return highest;
  return static_cast<int>(std::nearbyint(t));
}

class AffineFitter {
 public:
  AffineFitter(const AffineShape& shape, const float* x, const float* w)
      : shape_(shape), x_(x), w_(w), n_(kSuperBlock / shape.sub_blocks) {}

  AffineSuperBlock fit() {
    float top_scale = 0.0f, top_min = 0.0f;
    for (int j = 0; j < shape_.sub_blocks; ++j) {
      ideal_[j] = search_affine(x_ + j * n_, w_ + j * n_, n_, shape_.levels);
      data_[j] = data_sums(x_ + j * n_, w_ + j * n_, n_);
      top_scale = std::max(top_scale, ideal_[j].scale);
      top_min = std::max(top_min, ideal_[j].min);
    }
    if (top_scale == 0.0f && top_min == 0.0f) return {};

    AffineSuperBlock state;
    state.d = stored_scale(top_scale / static_cast<float>(shape_.top_scale));
    state.dmin = stored_scale(top_min / static_cast<float>(shape_.top_scale));
    for (int j = 0; j < shape_.sub_blocks; ++j) {
      state.scale[j] = static_cast<uint8_t>(nearest_step(ideal_[j].scale, state.d, 0, shape_.top_scale));
      state.min[j] = static_cast<uint8_t>(nearest_step(ideal_[j].min, state.dmin, 0, shape_.top_scale));
    }
    double error = choose_steps(state);
    for (int round = 1; round < kIntegerRounds; ++round) {
      AffineSuperBlock next = state;
      if (!refit(next) || (next.d == state.d && next.dmin == state.dmin)) break;
      const double next_error = choose_steps(next);
      if (!(next_error < error)) break;
      state = next;
      error = next_error;
    }
    return state;
  }

 private:
  float error_at(const AffineSuperBlock& state, int j, int scale, int min) const {
    return affine_error(x_ + j * n_, w_ + j * n_, n_, shape_.levels, state.d * static_cast<float>(scale),
                        state.dmin * static_cast<float>(min));
  }

  /// Moves every sub-block's scale and minimum to the best of their neighbours; returns the whole error.
  double choose_steps(AffineSuperBlock& state) const {
    double sum = 0.0;
    for (int j = 0; j < shape_.sub_blocks; ++j) {
      const int scale = state.scale[j], min = state.min[j];
      float best = error_at(state, j, scale, min);
      for (int s = std::max(0, scale - 1); s <= std::min(shape_.top_scale, scale + 1); ++s) {
        for (int m = std::max(0, min - 1); m <= std::min(shape_.top_scale, min + 1); ++m) {
          if (s == scale && m == min) continue;
          const float error = error_at(state, j, s, m);
          if (error < best) {
            best = error;
            state.scale[j] = static_cast<uint8_t>(s);
            state.min[j] = static_cast<uint8_t>(m);
          }
        }
      }
      sum += best;
    }
    return sum;
  }

  /// Least squares for (d, dmin) with codes and integers held; false if it has no proper solution.
  bool refit(AffineSuperBlock& state) const {
    double ss = 0, sm = 0, mm = 0, sx = 0, mx = 0;
    for (int j = 0; j < shape_.sub_blocks; ++j) {
      const float scale = state.scale[j], min = state.min[j];
      const CodeSums sums = affine_sums(x_ + j * n_, w_ + j * n_, n_, shape_.levels, state.d * scale, state.dmin * min);
      ss += static_cast<double>(scale) * scale * sums.qq;
      sm += static_cast<double>(scale) * min * sums.q;
      mm += static_cast<double>(min) * min * data_[j].w;
      sx += static_cast<double>(scale) * sums.qx;
      mx += static_cast<double>(min) * data_[j].x;
    }
    // ss d - sm dmin = sx;  sm d - mm dmin = mx
    const double det = ss * mm - sm * sm;
    double d = state.d, dmin = state.dmin;
    if (det > 1e-9 * ss * mm) {
      d = (sx * mm - sm * mx) / det;
      dmin = (sm * sx - ss * mx) / det;
    } else if (ss > 0.0) {
      d = (sx + sm * dmin) / ss;
    }
    if (!(d > 0.0) || !(dmin >= 0.0)) return false;
    state.d = stored_scale(d);
    state.dmin = stored_scale(dmin);
    return true;
  }

  const AffineShape shape_;
  const float* const x_;
  const float* const w_;
  const int n_;
  std::array<AffineFit, kMaxSubBlocks> ideal_;
  std::array<DataSums, kMaxSubBlocks> data_;
};

class LadderFitter {
 public:
  LadderFitter(const ScaleLadder& ladder, const SubBlocks& sub_blocks) : ladder_(ladder), sub_blocks_(sub_blocks) {}

  ScaledSuperBlock fit() {
    float peak = 0.0f;
    for (int j = 0; j < sub_blocks_.count(); ++j) {
      ideal_[j] = sub_blocks_.ideal(j);
      if (std::fabs(ideal_[j]) > std::fabs(peak)) peak = ideal_[j];
    }
    if (peak == 0.0f) return {};

    ScaledSuperBlock state;
    const float low = rung(ladder_.lowest), high = rung(ladder_.highest);
    state.d = stored(peak / (std::fabs(low) > std::fabs(high) ? low : high));  // the wider side takes the largest scale
    for (int j = 0; j < sub_blocks_.count(); ++j) {
      const float unit = state.d * static_cast<float>(ladder_.slope);
      state.scale[j] = static_cast<int8_t>(nearest_step(ideal_[j] - state.d * static_cast<float>(ladder_.intercept),
                                                        unit, ladder_.lowest, ladder_.highest));
    }
    double error = choose_steps(state);
    for (int round = 1; round < kIntegerRounds; ++round) {
      ScaledSuperBlock next = state;
      if (!refit(next) || next.d == state.d) break;
      const double next_error = choose_steps(next);
      if (!(next_error < error)) break;
      state = next;
      error = next_error;
    }
    return state;
  }

 private:
  float rung(int integer) const { return static_cast<float>(ladder_.slope * integer + ladder_.intercept); }
  float stored(double d) const { return stored_scale(d / ladder_.unit) * ladder_.unit; }

  double choose_steps(ScaledSuperBlock& state) const {
    double sum = 0.0;
    for (int j = 0; j < sub_blocks_.count(); ++j) {
      const int scale = state.scale[j];
      float best = sub_blocks_.error(j, state.d * rung(scale));
      for (const int s : {scale - 1, scale + 1}) {
        if (s < ladder_.lowest || s > ladder_.highest) continue;
        const float error = sub_blocks_.error(j, state.d * rung(s));
        if (error < best) {
          best = error;
          state.scale[j] = static_cast<int8_t>(s);
        }
      }
      sum += best;
    }
    return sum;
  }

  bool refit(ScaledSuperBlock& state) const {
    double ss = 0, sx = 0;
    for (int j = 0; j < sub_blocks_.count(); ++j) {
      const float scale = rung(state.scale[j]);
      const CodeSums sums = sub_blocks_.sums(j, state.d * scale);
      ss += static_cast<double>(scale) * scale * sums.qq;
      sx += static_cast<double>(scale) * sums.qx;
    }
    if (!(ss > 0.0) || sx == 0.0) return false;
    state.d = stored(sx / ss);
    return true;
  }

  const ScaleLadder ladder_;
  const SubBlocks& sub_blocks_;
  std::array<float, kMaxSubBlocks> ideal_{};
};

class UniformSubBlocks : public SubBlocks {
 public:
  UniformSubBlocks(const ScaledShape& shape, const float* x, const float* w)
      : shape_(shape), x_(x), w_(w), n_(kSuperBlock / shape.sub_blocks) {}

  int count() const override { return shape_.sub_blocks; }
  float ideal(int j) const override {
    return search_scale(x_ + j * n_, w_ + j * n_, n_, shape_.lowest, shape_.highest);
  }
  float error(int j, float scale) const override {
    return scaled_error(x_ + j * n_, w_ + j * n_, n_, shape_.lowest, shape_.highest, scale);
  }
  CodeSums sums(int j, float scale) const override {
    return scaled_sums(x_ + j * n_, w_ + j * n_, n_, shape_.lowest, shape_.highest, scale);
  }

 private:
  const ScaledShape shape_;
  const float* const x_;
  const float* const w_;
  const int n_;
};

}  // namespace

StepParts parts_of(const AffineSuperBlock& block) {
  StepParts parts{.d = block.d, .dmin = block.dmin};
  std::ranges::copy(block.scale, parts.scale.begin());
  std::ranges::copy(block.min, parts.min.begin());
  return parts;
}

StepParts parts_of(const ScaledSuperBlock& block) {
  StepParts parts{.d = block.d};
  std::ranges::copy(block.scale, parts.scale.begin());
  return parts;
}

AffineSuperBlock fit_affine(const AffineShape& shape, const float* x, const float* w) {
  return AffineFitter(shape, x, w).fit();
}

ScaledSuperBlock fit_scaled(const ScaledShape& shape, const float* x, const float* w) {
  return fit_ladder({.lowest = shape.lowest_scale, .highest = shape.highest_scale}, UniformSubBlocks(shape, x, w));
}

ScaledSuperBlock fit_ladder(const ScaleLadder& ladder, const SubBlocks& sub_blocks) {
  return LadderFitter(ladder, sub_blocks).fit();
}

}  // namespace vernier
