#pragma once

// The scales of super-blocks of llama.cpp's K-quants: 256 weights in sub-blocks, whose scales (and minima) are
// themselves small integers times one fp16 number. Fitting rounds d and dmin to fp16 first and chooses the integers for
// those.
//
//   AffineSuperBlock fitted = fit_affine({.sub_blocks = 8, .levels = 15, .top_scale = 63}, x, w);
//   // x ~ (d * scale[j]) * code - (dmin * min[j]) with the nearest codes

#include <array>
#include <cstdint>

#include "scheme/scale_search.h"
#include "scheme/step_parts.h"

namespace vernier {

inline constexpr int kSuperBlock = 256;
inline constexpr int kMaxSubBlocks = 16;

struct AffineShape {
  int sub_blocks;  ///< 8 or 16
  int levels;      ///< codes 0 .. levels
  int top_scale;   ///< scales and minima 0 .. top_scale
};

struct AffineSuperBlock {
  float d = 0, dmin = 0;  ///< exactly representable in fp16
  std::array<uint8_t, kMaxSubBlocks> scale{}, min{};
};

struct ScaledShape {
  int sub_blocks;
  int lowest, highest;              ///< of codes
  int lowest_scale, highest_scale;  ///< of sub-block scales
};

struct ScaledSuperBlock {
  float d = 0;
  std::array<int8_t, kMaxSubBlocks> scale{};
};

StepParts parts_of(const AffineSuperBlock& block);
StepParts parts_of(const ScaledSuperBlock& block);

/// How a format stores its sub-blocks' scales: d times slope * integer + intercept, d an fp16 number times `unit`.
struct ScaleLadder {
  int lowest, highest;  ///< of the integers
  int slope = 1, intercept = 0;
  float unit = 1.0f;
};

/// What a search for the scales asks about the weights of a super-block in a format.
class SubBlocks {
 public:
  virtual ~SubBlocks() = default;
  virtual int count() const = 0;  ///< at most kMaxSubBlocks
  /// The scale of least error of sub-block j, any float.
  virtual float ideal(int j) const = 0;
  /// sum w (scale * level - x)^2 with the best codes for this scale, and those codes' sums of levels.
  virtual float error(int j, float scale) const = 0;
  virtual CodeSums sums(int j, float scale) const = 0;
};
/// d (here with its unit) and the integers: the ladder is laid to the largest ideal scale, then in turns integers are
/// chosen among neighbours and d by least squares.
ScaledSuperBlock fit_ladder(const ScaleLadder& ladder, const SubBlocks& sub_blocks);

/// @shape x, w [256], made of search_value
AffineSuperBlock fit_affine(const AffineShape& shape, const float* x, const float* w);
ScaledSuperBlock fit_scaled(const ScaledShape& shape, const float* x, const float* w);

}  // namespace vernier
