#pragma once

// The directional estimate as a control of the diagonal one: the latter ranks, the former, unbiased but noisy, says how far
// off its level is.

#include "screen/screen_sums.h"
#include "vernier/screen.h"

namespace vernier {

/// Scales of one domain.
std::map<std::string, ScreenScale> scales_of(const ScreenSums& sums, size_t schemes, size_t domain);

/// The mean of a normal variable known as `prior` with this spread, once `seen` was observed.
Measured shrink(const Measured& seen, double prior, double spread);

/// scale.used * diagonal, with the errors of both.
Measured predicted_kl(const ScreenScale& scale, const Measured& diagonal);

}  // namespace vernier
