#pragma once

// What the estimators are made from: sums of one component under one scheme over one domain.

#include <cmath>
#include <limits>
#include <vector>

#include "vernier/measured.h"

namespace vernier {

/// g: gradient of a sequence's summed -log p of its labels; d: error of the weights.
/// @shape per distinct window or document; empty where nothing was gathered
struct ComponentSums {
  std::vector<double> tokens;        ///< scored
  std::vector<double> positions;     ///< that the model read
  std::vector<double> dots;          ///< sum over sequences of g.d
  std::vector<double> directional;   ///< of (g.d)^2 / 2
  std::vector<double> diagonal;      ///< of sum (g d)^2 / 2
  std::vector<double> fit;           ///< of |g|^2 times the mean of d^2, matrix by matrix
  std::vector<double> kfac_twice;    ///< K-FAC's sums, each pair of rows once with the sequence of either
  std::vector<double> output_error;  ///< of |d x|^2 over rows x
  // Without a text.
  double weight_squares = 0;                                         ///< sum w^2
  double error_squares = 0;                                          ///< sum d^2
  double error_products = 0;                                         ///< sum w d
  double top_eigenvalue = std::numeric_limits<double>::quiet_NaN();  ///< lambda1(G) lambda1(H) |d|^2 / 2, nats
  Measured hessian{std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::quiet_NaN()};
};

}  // namespace vernier
