#pragma once

// Codebooks of several weights at once, as ggml's IQ2 and IQ3 types have them: four or eight magnitudes are one point of
// a table, and each weight has a sign beside it. Codes are those of single weights, so that a search sees ordinary
// levels, - largest .. + largest; but only some stand side by side.
//
//   book.nearest_jointly(scale, x, w, 32, codes);      // the best codes that the codebook has
//   const Codebook::Run run = book.run_of(codes);      // as stored: point numbers and sign bits of eight weights

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "scheme/grid.h"

namespace vernier {

class Codebook {
 public:
  static constexpr int kRun = 8;  ///< weights that are stored together

  enum class Signs : uint8_t {
    kFree,
    kEven  ///< of eight weights an even number is negative, which saves the eighth sign bit
  };
  /// @param points as in codebook_points.h; magnitudes rising, three (points of eight weights) or eight (of four)
  Codebook(std::span<const uint16_t> points, std::span<const float> magnitudes, Signs signs);

  int joint() const { return even_ ? kRun : dims_; }  ///< weights whose codes depend on each other
  Code top_code() const { return static_cast<Code>(2 * magnitudes_.size() - 1); }
  int dims() const { return dims_; }  ///< weights of a point
  int magnitudes() const { return static_cast<int>(magnitudes_.size()); }
  bool signs_are_even() const { return even_; }
  /// Numbers of magnitudes. @shape [points, dims()]
  std::span<const uint8_t> points() const { return levels_; }
  /// Of a code: what is really stored of it.
  double bits() const;
  float level(Code code) const;

  /// Each by itself, whether or not the codebook has them side by side.
  void nearest(float scale, const float* x, int64_t n, Code* codes) const;
  /// The codes of least sum w (scale * level - x)^2 that it has; exact, by branch and bound over the points' halves.
  /// @shape x, w, codes [n], n a multiple of joint()
  void nearest_jointly(float scale, const float* x, const float* w, int64_t n, Code* codes) const;

  struct Run {
    std::array<int, 2> points{};  ///< of four weights each, or the first of all eight
    uint8_t signs = 0;            ///< bit i: weight i is negative
  };
  /// Codes that it does not have become those nearest to their levels. @shape codes [kRun]
  Run run_of(const Code* codes) const;
  void codes_of(const Run& run, Code* codes) const;
  /// scale * level of each, as ggml multiplies.
  void values_of(const Run& run, float scale, float* values) const;

 private:
  struct Point {
    uint8_t high;  ///< the combination of levels of its second half
    uint16_t index;
  };
  struct Halves;
  struct Found {
    float cost;
    int index;
  };
  int point_of(const uint8_t* levels) const;
  int combination(const uint8_t* levels) const;
  void tabulate(float size, const float* x, const float* w, Halves& halves) const;
  void tabulate_flipped(Halves& halves) const;
  Found find(const float* low, const float* high) const;
  Found choose(const Halves& halves, bool flipped) const;
  void take(const Halves& halves, const Found& found, bool flipped, bool mirrored, Code* codes) const;

  std::vector<float> magnitudes_;
  int dims_, half_, combinations_;
  bool even_;
  std::vector<uint8_t> levels_;    // [points, dims]
  std::vector<uint16_t> first_;    // by combination: where the points with a first half begin, and the end
  std::vector<Point> by_low_;      // [points]
  std::vector<int16_t> point_of_;  // [combinations, combinations], -1 where there is none
};

}  // namespace vernier
