#pragma once

// The pass over a text that every figure of activations comes from: windows in batches through a prepared model, sums
// of each window on their own and then added in the windows' order, so that threads do not change a bit.

#include <algorithm>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "base/shared_progress.h"
#include "engine/engine.h"

namespace vernier {

/// Which site's figures rows belong to: the experts of a layer are one, and what they take of the layer's input is seen
/// there already (nothing).
inline std::optional<SiteId> site_of_figures(SiteId id) {
  if (id.expert >= 0 && id.site == Site::kFfnInput) return std::nullopt;
  id.expert = -1;
  return id;
}

/// visit(own, window, site, of_expert, rows) is called from several threads, for one window by one; merge(own) in the
/// order of windows.
template <class Sums, class Visit, class Merge>
void watch_windows(PreparedModel& model, const EvaluationData& data, int workers, SharedProgress& progress,
                   Visit&& visit, Merge&& merge) {
  const size_t batch = 4 * static_cast<size_t>(workers);
  for (size_t first = 0; first < data.windows.size(); first += batch) {
    std::vector<Sequence> sequences;
    for (size_t w = first; w < std::min(first + batch, data.windows.size()); ++w)
      sequences.push_back({data.windows[w].tokens});
    std::vector<Sums> own(sequences.size());
    model.watch(
        sequences,
        [&](size_t i, const SiteId& site, const Slab& rows) {
          if (const auto key = site_of_figures(site)) visit(own[i], first + i, *key, site.expert >= 0, rows);
        },
        [&](int64_t layers) { progress.add(layers); });
    for (Sums& sums : own) merge(sums);
  }
}

}  // namespace vernier
