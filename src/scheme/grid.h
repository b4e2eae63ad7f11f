#pragma once

// How values become codes and back, with the choice of a grid, the choice of codes and the packing of both taken apart,
// so that any search over values (error feedback, coordinate descent, output-side) works on any format.
//
//   value = scale * (level(code) - zero) + offset          scale, zero, offset: the Step that a segment's weights share
//
//   const std::unique_ptr<Grid> grid = grid_of(scheme, rows, cols);
//   std::vector<std::byte> stored(scheme.bytes(rows, cols));
//   grid->fit(row, block, x, stride, w, stored.data());     // chooses a block's scales and writes them as stored
//   grid->steps(row, block, stored.data(), steps);          // what they are after rounding: one Step a segment
//   grid->nearest(steps[0], x, n, codes);                   // the best codes one by one; a search may take others
//   grid->pack_row(row, codes, stored.data());              // writes a row's codes, and nothing else
//
// encode() is those four for every block. The stored bytes, zeros at first, are the grid: a search that moves columns about fits a block
// when it gets there, and packs at the end. Levels rise with codes (code + 1 is the next level), so that a search can
// step to the neighbours; a Step's scale may be negative.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "vernier/scheme.h"

namespace vernier {

using Code = uint32_t;

/// What the weights of one segment share.
struct Step {
  float scale = 1.0f;
  float zero = 0.0f;     ///< in levels: the level that means `offset`
  float offset = -0.0f;  ///< negative zero changes no value, not even the sign of a zero
};

/// Scales that are one plain number a block, which may be chosen freely: the type that they are stored in.
enum class PlainScale : uint8_t { kNone, kHalf, kBFloat16 };

class Codebook;
struct StepParts;
struct StepPartsShape;

inline float value_of(const Step& step, float level) { return step.scale * (level - step.zero) + step.offset; }

/// The grid of one weight. All functions are const and keep no state but the shape. Several threads may work on one
/// weight's bytes if its rows are stored in sequence and no two work on a row.
class Grid {
 public:
  virtual ~Grid() = default;
  Grid(const Grid&) = delete;
  Grid& operator=(const Grid&) = delete;

  const int64_t rows, cols;
  const int64_t block_rows, block_cols;  ///< of what is fitted at once: 1 x 256 for gguf:q4_k, all for int4:tensor
  const int64_t segment_cols;            ///< weights of a row that share a Step; divides block_cols
  const Code top_code;                   ///< codes are 0 .. top_code
  /// Weights of a row, from a multiple of it on, whose codes depend on each other: of formats with a codebook of several
  /// weights only some codes stand side by side. 1: any do. Divides segment_cols.
  const int64_t joint_cols;
  static constexpr int64_t kMostJoint = 8;
  const double bits_per_code;  ///< log2 of how many codes there are, of several weights at once where joint_cols > 1
  int64_t blocks() const { return cols / block_cols; }  ///< along a row
  int64_t segments() const { return block_cols / segment_cols; }

  /// Chooses the scales of the block whose first row is `row` and which is the `block`-th along it, and stores them.
  /// @shape x [block_rows, block_cols] with `stride` floats from row to row, finite; w [block_cols]: importances as
  ///        column_weights makes them (some formats ignore them)
  virtual void fit(int64_t row, int64_t block, const float* x, int64_t stride, const float* w,
                   std::byte* stored) const = 0;
  /// The scales as stored, of one row of a block. @shape steps [segments()]
  virtual void steps(int64_t row, int64_t block, const std::byte* stored, Step* steps) const = 0;
  /// The codes whose values are nearest to x, each by itself. @shape x, codes [n], any n; x finite
  /// Ties, and which codes are not in use (int4:sym7's lowest), are the format's.
  virtual void nearest(const Step& step, const float* x, int64_t n, Code* codes) const = 0;
  /// The codes of least sum w (value - x)^2 among those that the format has side by side; for any but codebooks of
  /// several weights what nearest() says. @shape x, w, codes [n], n and the first column multiples of joint_cols
  virtual void nearest_jointly(const Step& step, const float* x, const float* w, int64_t n, Code* codes) const;
  /// Where joint_cols > 1 the codebook, else nullptr.
  virtual const Codebook* codebook() const { return nullptr; }
  virtual float level(Code code) const = 0;
  /// Codes that a codebook does not have side by side become the nearest that it has. @shape codes [cols]
  virtual void pack_row(int64_t row, const Code* codes, std::byte* stored) const = 0;
  virtual void unpack_row(int64_t row, const std::byte* stored, Code* codes) const = 0;

  /// kNone where a segment's scale is made of several stored numbers.
  virtual PlainScale plain_scale() const { return PlainScale::kNone; }
  /// Replaces the scale that was fitted to a block by `scale`, rounded as it is stored, and keeps its zero and offset. Only
  /// where plain_scale() names a type.
  virtual void store_scale(int64_t, int64_t, float, std::byte*) const {}

  /// Of formats whose steps are products (step_parts.h); nullptr: they are not.
  virtual const StepPartsShape* parts_shape() const { return nullptr; }
  /// Only where there is a shape. store_parts leaves codes as they are.
  virtual StepParts parts(int64_t row, int64_t block, const std::byte* stored) const;
  virtual void store_parts(int64_t row, int64_t block, const StepParts& parts, std::byte* stored) const;

  /// All blocks fitted, all codes nearest. @shape weight [rows, cols]; w [cols]
  virtual void encode(const float* weight, const float* w, std::byte* stored) const;
  /// All values, in one pass: value_of each code.
  virtual void decode(const std::byte* stored, float* weight) const = 0;

 protected:
  struct Shape {
    int64_t rows, cols, block_rows, block_cols, segment_cols;
    int64_t joint_cols = 1;
    double bits_per_code = 0;  ///< 0: any of the codes
  };
  Grid(const Shape& shape, Code top);
};

/// @throws Error{kInvalidArgument} if scheme.why_not(rows, cols)
std::unique_ptr<Grid> grid_of(const Scheme& scheme, int64_t rows, int64_t cols);

/// Importances as every fit wants them: at most 1 and positive. Channels that calibration never saw active keep a
/// ten-thousandth of the mean, so that their weights are still rounded to the nearest value. Empty: all 1.
std::vector<float> column_weights(std::span<const float> importance, int64_t cols);

}  // namespace vernier
