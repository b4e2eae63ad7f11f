#pragma once

// Rounding the rows of a whole sequence at a site, and what the attention cache keeps of its keys and values. On slabs,
// and the first also in plain ATen; both give the same values.

#include <ATen/core/Tensor.h>

#include "ops/arena.h"
#include "vernier/activation_grid.h"

namespace vernier {

/// y = x as a matrix is fed with it; x and y may be the same rows. Rows that are not finite become NaN.
void round_site(const SiteRounding& rounding, const Slab& x, const Slab& y);
/// The same of [..., channels], whose rows are one sequence's; float32.
at::Tensor round_site(const SiteRounding& rounding, const at::Tensor& x);

/// y = x in the channels that keep_from leaves as they are, 0 in the others.
void kept_channels(const SiteRounding& rounding, const Slab& x, const Slab& y);
at::Tensor kept_channels(const SiteRounding& rounding, const at::Tensor& x);

/// Rows of `heads` keys or values side by side, in place.
void round_cache(const CacheFormat& format, const Slab& x, int64_t heads);

}  // namespace vernier
