#include <algorithm>
#include <iterator>
#include <span>

#include "activations/activation_study.h"
#include "activations/local_errors.h"
#include "activations/resolve_grid.h"
#include "activations/watched_facts.h"
#include "base/shared_progress.h"
#include "model/language_model.h"
#include "ops/activation_rounding.h"
#include "ops/site_rounding.h"
#include "vernier/evaluate.h"

namespace vernier {

namespace {

using Sites = std::shared_ptr<const RoundedSites>;

Sites caches_of(const Model& model, const CacheFormat& keys, const CacheFormat& values) {
  const auto sites = std::make_shared<RoundedSites>();
  for (int layer = 0; layer < model.config().depth(); ++layer) {
    sites->caches[{Site::kKeys, layer}] = keys;
    sites->caches[{Site::kValues, layer}] = values;
  }
  return sites;
}

/// A copy of `rows` that the format or grid of the site has rounded; no rows where it is exact.
Slab rounded_rows(Arena& arena, const Model& model, const RoundedSites& sites, const SiteId& site, const Slab& rows,
                  std::vector<float>& range) {
  const Slab copy = arena.slab(rows.rows, rows.cols);
  if (const auto grid = sites.inputs.find(site); grid != sites.inputs.end()) {
    round_site(grid->second, rows, copy);
    range = grid->second.ranges;
    if (range.size() == 1 && range[0] == 0) range.clear();
    return copy;
  }
  const auto cache = sites.caches.find(site);
  if (cache == sites.caches.end() || cache->second == CacheFormat()) return {};
  round_activations({}, rows, copy);
  round_cache(cache->second, copy, model.config().layer(site.layer).attention.kv_heads);
  return copy;
}

/// Of every candidate at once, in one pass of the exact model.
std::vector<std::map<SiteId, LocalErrors>> local_errors(const Model& model, const WatchedInputs& inputs,
                                                        const std::vector<Sites>& candidates,
                                                        const ComputeOptions& compute, ProgressSink* progress) {
  using Sums = std::vector<std::map<SiteId, ErrorSums>>;
  const std::unique_ptr<Engine> engine = make_engine(compute);
  const auto ready = inputs.prepare(*engine, model, {.type = compute.type});
  if (progress != nullptr) progress->begin("activations: errors", static_cast<int64_t>(inputs.count()), inputs.unit());
  SharedProgress shared(progress, model.config().depth());
  Sums total(candidates.size());
  watch_all<Sums>(
      *ready, inputs.count(), engine->workers(), shared,
      [&](Sums& own, size_t, const SiteId& site, bool, const Slab& rows) {
        thread_local Arena arena;
        own.resize(candidates.size());
        for (size_t c = 0; c < candidates.size(); ++c) {
          const Arena::Scope scope(arena);
          std::vector<float> range;
          if (const Slab rounded = rounded_rows(arena, model, *candidates[c], site, rows, range);
              rounded.data != nullptr)
            own[c][site].add(rows, rounded, range);
        }
      },
      [&](const Sums& own) {
        for (size_t c = 0; c < own.size(); ++c)
          for (const auto& [site, sums] : own[c]) total[c][site].add(sums);
      });
  if (progress != nullptr) progress->end();
  std::vector<std::map<SiteId, LocalErrors>> results(candidates.size());
  for (size_t c = 0; c < candidates.size(); ++c)
    for (const auto& [site, sums] : total[c]) results[c][site] = sums.result();
  return results;
}

/// The residual streams beside those of the exact model, input by input: |x' - x|^2 / |x|^2 after each layer, of each of
/// `candidates`.
std::vector<std::vector<double>> growth_of(const Model& model, const WatchedInputs& inputs, int64_t most,
                                           std::span<const Sites> candidates, const ComputeOptions& compute,
                                           ProgressSink* progress) {
  const std::unique_ptr<Engine> engine = make_engine(compute);
  const auto exact = inputs.prepare(*engine, model, {.type = compute.type});
  std::vector<std::unique_ptr<WatchedModel>> rounded;
  for (const Sites& sites : candidates)
    rounded.push_back(inputs.prepare(*engine, model, {.type = compute.type, .sites = sites}, exact.get()));
  const auto depth = static_cast<size_t>(model.config().depth());
  const size_t watched = std::min(inputs.count(), static_cast<size_t>(most));
  std::vector<std::vector<double>> errors(candidates.size(), std::vector<double>(depth, 0));
  std::vector<double> squares(depth, 0);
  if (progress != nullptr)
    progress->begin("activations: growth of errors", static_cast<int64_t>(watched), inputs.unit());
  for (size_t i = 0; i < watched; ++i) {
    std::vector<std::vector<float>> streams(depth);
    const auto residuals = [&](WatchedModel& which, const auto& visit) {
      which.watch(i, 1,
                  [&](size_t, const SiteId& site, const Slab& x) {
                    if (site.site == Site::kResidual && site.layer >= 0) visit(static_cast<size_t>(site.layer), x);
                  },
                  {});
    };
    residuals(*exact, [&](size_t layer, const Slab& x) {
      for (int64_t r = 0; r < x.rows; ++r) streams[layer].insert(streams[layer].end(), x.row(r), x.row(r) + x.cols);
      for (const float known : streams[layer]) squares[layer] += static_cast<double>(known) * known;
    });
    for (size_t c = 0; c < rounded.size(); ++c)
      residuals(*rounded[c], [&](size_t layer, const Slab& x) {
        for (int64_t r = 0; r < x.rows; ++r)
          for (int64_t j = 0; j < x.cols; ++j) {
            const double known = streams[layer][static_cast<size_t>(r * x.cols + j)], error = x.row(r)[j] - known;
            errors[c][layer] += error * error;
          }
      });
    if (progress != nullptr) progress->update(static_cast<int64_t>(i) + 1);
  }
  if (progress != nullptr) progress->end();
  for (std::vector<double>& own : errors)
    for (size_t layer = 0; layer < depth; ++layer) own[layer] /= squares[layer];
  return errors;
}

/// KL of the model with each of `candidates`.
std::vector<Measured> divergences(const Model& model, const EvaluationData& data, const std::vector<Sites>& candidates,
                                  const ComputeOptions& compute, ProgressSink* progress) {
  const std::vector<const Model*> models(candidates.size(), &model);
  EvaluateOptions options{.compute = compute};
  options.sites = candidates;
  std::vector<Measured> kl;
  for (const Evaluation& evaluation : evaluate(models, &model, data, options, progress))
    kl.push_back(evaluation.all.kl());
  return kl;
}

/// What is measured by itself: everywhere, and at each kind of site alone.
std::vector<Sites> variants_of(const Model& model, const ActivationGrid& grid, const Sites& everywhere,
                               const WatchedFacts& watched) {
  std::vector<Sites> variants{everywhere};
  for (const Site kind : rounded_sites_of(model))
    variants.push_back(std::make_shared<RoundedSites>(resolve_grid(model, grid, {kind}, watched)));
  return variants;
}

/// Keys, values, and both.
std::vector<Sites> variants_of(const Model& model, const CacheFormat& format) {
  return {caches_of(model, format, {}), caches_of(model, {}, format), caches_of(model, format, format)};
}

/// @param kl of the grid's variants, in their order
GridFigures figures_of(const Model& model, const ActivationGrid& grid, const RoundedSites& everywhere,
                       std::span<const Measured> kl) {
  GridFigures figures;
  figures.grid = grid;
  for (const auto& [site, rounding] : everywhere.inputs)
    if (rounding.ranges.size() == 1 && site.expert < 0) figures.ranges[site] = rounding.ranges[0];
  figures.together = kl[0];
  size_t next = 1;
  for (const Site kind : rounded_sites_of(model)) figures.alone[kind] = kl[next++];
  return figures;
}

}  // namespace

ActivationStudy study_inputs(const Model& model, const WatchedInputs& calibration, const WatchedInputs& inputs,
                             const Divergences& divergences, const ActivationStudyOptions& options,
                             ProgressSink* progress) {
  const WatchedFacts watched = watch_facts(model, calibration, options.compute, progress);
  ActivationStudy study;
  study.model_name = model.source().name;
  study.model_hash = model_hash(model);
  study.data_name = inputs.name();
  study.data_hash = inputs.hash();
  study.windows = static_cast<int64_t>(inputs.count());
  study.facts = watched.facts;
  std::vector<Sites> candidates, variants;
  for (const ActivationGrid& grid : options.grids) {
    candidates.push_back(std::make_shared<RoundedSites>(resolve_grid(model, grid, rounded_sites_of(model), watched)));
    std::ranges::move(variants_of(model, grid, candidates.back(), watched), std::back_inserter(variants));
  }
  for (const CacheFormat& format : options.caches) {
    candidates.push_back(caches_of(model, format, format));
    std::ranges::move(variants_of(model, format), std::back_inserter(variants));
  }
  if (candidates.empty()) return study;
  // All at once, so that the exact model answers each input once, and the time that is left is that of all of them.
  const std::vector<Measured> kl = divergences(variants);
  std::span<const Measured> left = kl;
  const auto taken = [&](size_t count) {
    const auto first = left.first(count);
    left = left.subspan(count);
    return first;
  };
  for (size_t g = 0; g < options.grids.size(); ++g)
    study.grids.push_back(
        figures_of(model, options.grids[g], *candidates[g], taken(1 + rounded_sites_of(model).size())));
  for (const CacheFormat& format : options.caches) {
    const auto own = taken(3);
    study.caches.push_back({format, {}, own[0], own[1], own[2]});
  }
  const auto local = local_errors(model, inputs, candidates, options.compute, progress);
  const auto growth = growth_of(model, inputs, options.growth_windows, std::span(candidates).first(study.grids.size()),
                                options.compute, progress);
  for (size_t g = 0; g < study.grids.size(); ++g) {
    study.grids[g].local = local[g];
    study.grids[g].growth = growth[g];
  }
  for (size_t c = 0; c < study.caches.size(); ++c) study.caches[c].local = local[study.grids.size() + c];
  return study;
}

ActivationStudy study_activations(const Model& model, const EvaluationData& calibration, const EvaluationData& data,
                                  const ActivationStudyOptions& options, ProgressSink* progress) {
  require_language_model(model.config(), model.source().name, "activations");
  const auto kl = [&](const std::vector<Sites>& candidates) {
    return divergences(model, data, candidates, options.compute, progress);
  };
  return study_inputs(model, *windows_of_text(calibration), *windows_of_text(data), kl, options, progress);
}

}  // namespace vernier
