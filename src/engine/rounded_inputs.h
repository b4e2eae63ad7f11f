#pragma once

// How the inputs of each of a model's matrices are rounded.

#include "ops/activation_rounding.h"
#include "vernier/compute.h"
#include "vernier/model.h"

namespace vernier {

struct RoundedInputs {
  Activations how = Activations::kExact;
  const ActivationRanges* ranges = nullptr;  ///< of static rounding

  /// @throws Error{kInvalidArgument} where static rounding lacks the range of a site
  InputRounding of(const Model& model, const TensorId& id) const;
};

/// Of the sites of one stack, named as stack_of names them.
ActivationRanges ranges_of_stack(const ActivationRanges& ranges, Stack stack);

}  // namespace vernier
