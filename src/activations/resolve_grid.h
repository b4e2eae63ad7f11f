#pragma once

// A grid with its ranges, site by site.

#include "activations/watched_facts.h"

namespace vernier {

/// Every site of the model that `kinds` name. @param text where static ranges come from
RoundedSites resolve_grid(const Model& model, const ActivationGrid& grid, const std::vector<Site>& kinds,
                          const WatchedFacts& watched);

}  // namespace vernier
