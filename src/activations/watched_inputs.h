#pragma once

// What activations are looked at on, windows of a text or what a stack that answers is shown, and the pass over them that
// every figure comes from: inputs in batches through a model made ready, sums of each on their own and then added in their
// order, so that threads do not change a bit.

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/shared_progress.h"
#include "engine/engine.h"
#include "vernier/data.h"
#include "vernier/vision_inputs.h"

namespace vernier {

/// A model made ready to be watched on some inputs, which must outlive it.
class WatchedModel {
 public:
  virtual ~WatchedModel() = default;
  /// Shows the sites of inputs first ... first + count - 1; the watcher hears their places among those.
  virtual void watch(size_t first, size_t count, const SiteWatcher& watcher, const LayersDone& done) = 0;
};

class WatchedInputs {
 public:
  virtual ~WatchedInputs() = default;
  virtual std::string name() const = 0;
  virtual std::string hash() const = 0;
  virtual const char* unit() const = 0;  ///< "windows"
  virtual size_t count() const = 0;
  virtual int64_t rows() const = 0;  ///< of all: tokens, or patches with what was learned beside them
  /// Whether row r of a site is what stands at position r: of answers those that they are read from are all that a site
  /// behind the layers has.
  virtual bool has_positions(Site site) const = 0;
  /// Of an input whose first row is a text's first token, the row from which on queries count for what share of their
  /// attention lies on it.
  virtual std::optional<int64_t> first_query(size_t input) const = 0;
  /// @param options positions are found here; `beside`: of the very same model
  virtual std::unique_ptr<WatchedModel> prepare(const Engine& engine, const Model& model, PrepareOptions options,
                                                const WatchedModel* beside = nullptr) const = 0;
};

/// `data` must outlive them.
std::unique_ptr<WatchedInputs> windows_of_text(const EvaluationData& data);
/// Images of a stack that sees, the prompts of one that reads. `data` must outlive them.
std::unique_ptr<WatchedInputs> answered_inputs(const ModelConfig& stack, const VisionInputs& data);

/// Which site's figures rows belong to: the experts of a layer are one, and what they take of the layer's input is seen
/// there already (nothing).
inline std::optional<SiteId> site_of_figures(SiteId id) {
  if (id.expert >= 0 && id.site == Site::kFfnInput) return std::nullopt;
  id.expert = -1;
  return id;
}

/// visit(own, input, site, of_expert, rows) is called from several threads, for one input by one; merge(own) in the
/// order of inputs.
template <class Sums, class Visit, class Merge>
void watch_all(WatchedModel& model, size_t count, int workers, SharedProgress& progress, Visit&& visit, Merge&& merge) {
  const size_t batch = 4 * static_cast<size_t>(workers);
  for (size_t first = 0; first < count; first += batch) {
    std::vector<Sums> own(std::min(batch, count - first));
    model.watch(
        first, own.size(),
        [&](size_t i, const SiteId& site, const Slab& rows) {
          if (const auto key = site_of_figures(site)) visit(own[i], first + i, *key, site.expert >= 0, rows);
        },
        [&](int64_t layers) { progress.add(layers); });
    for (Sums& sums : own) merge(sums);
  }
}

}  // namespace vernier
