#pragma once

// How the inputs of each of a model's matrices are rounded.

#include <memory>

#include "ops/activation_rounding.h"
#include "ops/block.h"
#include "vernier/compute.h"
#include "vernier/model.h"

namespace vernier {

struct RoundedInputs {
  Activations how = Activations::kExact;
  const ActivationRanges* ranges = nullptr;             ///< of static rounding
  std::shared_ptr<const RoundedSites> sites = nullptr;  ///< in place of `how`, where it is there

  /// @throws Error{kInvalidArgument} where static rounding lacks the range of a site
  InputRounding of(const Model& model, const TensorId& id) const;
  /// What multiplies the channels that rounding keeps, where it is another matrix.
  at::Tensor kept_weight(const TensorId& id) const;
  BlockCache cache_of(int layer) const;
};

/// Of the sites of one stack, named as stack_of names them.
ActivationRanges ranges_of_stack(const ActivationRanges& ranges, Stack stack);

}  // namespace vernier
