#pragma once

// Isolated damage of some components, each on as many windows as its question needs: all start on a few, and those whose
// interval settles nothing go on with twice as many, until the windows are used up.
//
//   const auto found = measure_until(model, quantized, sweepable(model, data), components, options, [](const Component&, const ConfidenceInterval& kl) {
//     return kl.high < 1.2 * kl.low;
//   });

#include <cstdint>
#include <functional>
#include <vector>

#include "base/sequential.h"
#include "diagnose/quantized_weights.h"
#include "diagnose/sweepable.h"
#include "vernier/diagnose.h"

namespace vernier {

struct MeasureUntilOptions {
  int64_t first_windows = 4;
  double confidence = 0.95;  ///< of all looks at one component together
  ComputeOptions compute{};
  /// Asked before every round with the windows of components that it would measure; false ends measuring, with what there
  /// is. Absent: goes on.
  std::function<bool(int64_t component_windows)> may_go_on{};
};

struct SequentialDamage {
  ComponentDamage damage;
  int64_t windows = 0;    ///< that it was measured on; 0: not at all
  ConfidenceInterval kl;  ///< at the confidence over all looks, nats per token
};

struct SequentialResult {
  std::vector<SequentialDamage> components;  ///< in the order asked for
  double control_kl = 0;  ///< nats; the largest of a perturbation by nothing, in the first layer that was measured
};

/// Windows are taken in an order that spreads every round over all of them.
/// @throws Error{kInvalidArgument} for a component that the model does not have
SequentialResult measure_until(const Model& model, const QuantizedWeights& quantized, const Sweepable& data,
                               const std::vector<Component>& components, const MeasureUntilOptions& options,
                               const std::function<bool(const Component&, const ConfidenceInterval&)>& settled,
                               ProgressSink* progress = nullptr);

}  // namespace vernier
