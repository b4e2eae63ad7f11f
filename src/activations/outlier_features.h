#pragma once

// Channels that carry outliers through many layers.

#include <map>

#include "activations/site_sums.h"

namespace vernier {

/// Of every kind of site whose rows are equally wide in all `depth` layers; the largest share of tokens first.
std::vector<OutlierFeature> outlier_features(const std::map<SiteId, ActivationSums>& sums,
                                             const std::map<SiteId, SiteFigures>& figures, int depth);

}  // namespace vernier
