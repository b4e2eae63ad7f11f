#pragma once

// A grid with its ranges, site by site.

#include "activations/watched_text.h"

namespace vernier {

/// Every site of the model that `kinds` name. @param text where static ranges come from
RoundedSites resolve_grid(const Model& model, const ActivationGrid& grid, const std::vector<Site>& kinds,
                          const WatchedText& text);

}  // namespace vernier
