#pragma once

// How far a forecast is off, by depth. Gradients foretell what an error does to the answers as long as tokens keep their
// experts; that they change them in all layers behind is not in it, so that early layers hurt more than foretold.

#include <map>
#include <utility>
#include <vector>

#include "planning/doubt.h"
#include "vernier/model.h"

namespace vernier {

/// Where the layers of a model stand in their stacks.
class Depths {
 public:
  explicit Depths(const Model& model);
  /// -0.5 of the first layer, 0.5 of the last; 0 where there is one, and outside of the layers.
  double of(Stack stack, int layer) const;

 private:
  std::map<Stack, int> last_;
};

/// log(measured / foretold) as a line over depth, and how matrices scatter about it.
struct DepthTrend {
  double log_middle = 0, log_slope = 0, log_spread = 0;
  /// For what is not known of the line itself.
  double count = 0, mean_depth = 0, weight = 0;

  double factor_at(double depth) const;
  /// Of a matrix that was not measured.
  FactorBelief belief_at(double depth) const;
};

/// Least squares, the slope drawn towards 0 by a normal prior (standard deviation 2) as far as the scatter leaves it in
/// doubt; level below four points, and where all are at one depth. @param points depth and log(measured / foretold), at least one
DepthTrend fit_depth_trend(const std::vector<std::pair<double, double>>& points);

}  // namespace vernier
