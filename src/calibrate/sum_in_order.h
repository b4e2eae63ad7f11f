#pragma once

// Sums of sites over many inputs, and the statistics that they are.

#include <cstdint>
#include <functional>

#include "engine/engine.h"
#include "vernier/calibrate.h"

namespace vernier {

/// Inputs are summed on their own and then in their order, a batch at a time: the same bits with any number of workers.
/// `sums_of` makes those of an input on a worker; `on_done` hears how many are done.
SumsOfSites sum_in_order(int64_t count, int workers,
                         const std::function<SumsOfSites(int64_t input, int worker)>& sums_of,
                         const std::function<void(int64_t done)>& on_done);

ChannelStatistics statistics_of(const SiteSums& sums, double rows);

}  // namespace vernier
