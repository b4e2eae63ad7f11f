#pragma once

// Steps of a matrix that learn as its format stores them: of products (scheme/step_parts.h) the number of each block and
// the integers of its segments, rounded straight through, so that what is seen is what is exported; of plain scales those.

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <vector>

#include "quantize/rounding.h"
#include "scheme/grid.h"
#include "scheme/step_parts.h"

namespace vernier {

/// A tensor that learns beside the weights.
struct LearnedLeaf {
  std::string name;  ///< of its kind
  at::Tensor value;
  double rate = 1;  ///< times the learning rate of weights
  double size = 1;  ///< of its numbers, on average
};

/// Whether steps of such a grid can learn.
bool has_learnable_steps(const Grid& grid);

class LearnedSteps {
 public:
  /// Begins with the steps of `stored`. @throws Error{kInternal} unless has_learnable_steps
  LearnedSteps(const Grid& grid, const std::byte* stored, const at::Device& device);

  /// Numbers of blocks learn relative to where they begin, integers by a rate that moves them about as fast.
  const std::vector<LearnedLeaf>& leaves() const { return leaves_; }
  /// Scales keep their sign: plain ones above zero, integers of segments at 1 at least, with whatever sign they began with;
  /// those that are 0 stay 0.
  void bound() const;
  /// As stored, differentiable: `grid` with these scales and offsets.
  RoundingGrid on(RoundingGrid grid) const;
  /// Into `stored`, whose codes stay.
  void store(std::byte* stored) const;
  /// The leaves' values by name, as somebody kept them. @throws Error{kBadFile} naming `origin` and what is missing
  void restore(const std::map<std::string, at::Tensor>& values, const std::string& origin) const;

 private:
  const at::Tensor& add(const char* name, const at::Tensor& value, double rate);
  /// [rows, blocks, 1] and [rows, blocks, segments], of scales (or their one plain number), and of minima.
  struct Part {
    at::Tensor start, factor, integers, sign;
    double lowest = 1, highest = 1, stride = 1, unit = 1;
    bool integers_learn = false;
    at::Tensor numbers() const;
    at::Tensor whole() const;
  };
  Part part(const char* number, const char* integer, const at::Tensor& start, const at::Tensor& integers,
            const IntegerRange& range);

  const Grid& grid_;
  at::Tensor plain_;
  Part scale_, min_;
  std::vector<LearnedLeaf> leaves_;
};

}  // namespace vernier
