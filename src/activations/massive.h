#pragma once

// Massive activations: counted in a second pass, since only the first one knows the median that they are measured by.

#include <map>
#include <set>

#include "ops/arena.h"
#include "vernier/activations.h"

namespace vernier {

class MassiveCounter {
 public:
  /// Values beyond `threshold`; none where it is 0.
  explicit MassiveCounter(double threshold = 0) : threshold_(threshold) {}
  /// `positions`: row r is the token at position r.
  void add(int64_t window, const Slab& rows, bool positions);
  void add(const MassiveCounter& other);
  MassiveActivations result() const;

 private:
  void keep_largest();

  double threshold_;
  int64_t count_ = 0;
  std::set<int64_t> windows_;
  std::map<int64_t, int64_t> positions_, channels_;
  std::vector<MassiveActivation> largest_;
};

}  // namespace vernier
