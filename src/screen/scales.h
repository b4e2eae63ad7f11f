#pragma once

// The directional estimate as a control of the diagonal one: the latter ranks, the former, unbiased but noisy, says how far
// off its level is.

#include <functional>

#include "screen/component_sums.h"
#include "vernier/screen.h"

namespace vernier {

/// Of one domain.
using SumsOfComponent = std::function<ComponentSums(size_t component, size_t scheme)>;

/// Scales of one domain.
std::map<std::string, ScreenScale> scales_of(const std::vector<Component>& components, size_t schemes,
                                             const SumsOfComponent& sums);

/// The mean of a normal variable known as `prior` with this spread, once `seen` was observed.
Measured shrink(const Measured& seen, double prior, double spread);

/// scale.used * diagonal, with the errors of both.
Measured predicted_kl(const ScreenScale& scale, const Measured& diagonal);

}  // namespace vernier
