#include "activations/watched_facts.h"

#include <mutex>

#include "activations/outlier_features.h"
#include "model/language_model.h"

namespace vernier {

namespace {

constexpr double kMassiveRatio = 100;

/// A pass that shows every site of every input.
template <class Sums, class Visit, class Merge>
void watch_pass(const Model& model, const WatchedInputs& inputs, const ComputeOptions& compute, const char* stage,
                ProgressSink* progress, Visit&& visit, Merge&& merge) {
  const std::unique_ptr<Engine> engine = make_engine(compute);
  const auto ready = inputs.prepare(*engine, model, {.type = compute.type});
  if (progress != nullptr) progress->begin(stage, static_cast<int64_t>(inputs.count()), inputs.unit());
  SharedProgress shared(progress, model.config().depth());
  watch_all<Sums>(*ready, inputs.count(), engine->workers(), shared, visit, merge);
  if (progress != nullptr) progress->end();
}

std::map<SiteId, SiteFigures> all_figures(const ActivationMagnitudes& magnitudes) {
  std::map<SiteId, SiteFigures> figures;
  for (const auto& [site, sums] : magnitudes.sums) figures[site] = figures_of(sums, magnitudes.histograms.at(site));
  return figures;
}

}  // namespace

ActivationMagnitudes measure_magnitudes(const Model& model, const WatchedInputs& inputs, const ComputeOptions& compute,
                                        ProgressSink* progress) {
  struct OfInput {
    std::map<SiteId, ActivationSums> sums;
    std::map<int, std::vector<double>> sinks;
    int64_t queries = 0;
  };
  ActivationMagnitudes total;
  std::mutex mutex;
  watch_pass<OfInput>(
      model, inputs, compute, "activations: magnitudes", progress,
      [&](OfInput& own, size_t input, const SiteId& site, bool of_expert, const Slab& x) {
        const std::optional<int64_t> first_query = inputs.first_query(input);
        if (site.site == Site::kFirstTokenShare) {
          if (!first_query) return;
          const int64_t first = *first_query;
          std::vector<double>& heads = own.sinks[site.layer];
          heads.assign(static_cast<size_t>(x.cols), 0);
          for (int64_t r = first; r < x.rows; ++r)
            for (int64_t h = 0; h < x.cols; ++h) heads[static_cast<size_t>(h)] += x.row(r)[h];
          own.queries = x.rows - first;
          return;
        }
        own.sums[site].add(x, !of_expert && first_query && inputs.has_positions(site.site));
        MagnitudeHistogram histogram;
        for (int64_t r = 0; r < x.rows; ++r)
          for (int64_t j = 0; j < x.cols; ++j) histogram.add(x.row(r)[j]);
        const std::lock_guard<std::mutex> lock(mutex);  // counts, whose order does not matter
        total.histograms[site].add(histogram);
      },
      [&](OfInput& own) {
        for (const auto& [site, sums] : own.sums) total.sums[site].add(sums);
        for (const auto& [layer, heads] : own.sinks) {
          std::vector<double>& all = total.sinks[layer];
          all.resize(heads.size(), 0);
          for (size_t h = 0; h < heads.size(); ++h) all[h] += heads[h];
        }
        total.sink_queries += own.queries;
      });
  return total;
}

ActivationDetails measure_details(const Model& model, const WatchedInputs& inputs,
                                  const std::map<SiteId, SiteFigures>& figures, const ComputeOptions& compute,
                                  ProgressSink* progress) {
  ActivationDetails total;
  for (const auto& [site, own] : figures) {
    total.linear[site].range = own.abs_max;
    total.massive.emplace(site, kMassiveRatio * own.median_abs);
  }
  struct Nothing {};
  std::mutex mutex;
  watch_pass<Nothing>(
      model, inputs, compute, "activations: ranges", progress,
      [&](Nothing&, size_t input, const SiteId& site, bool of_expert, const Slab& x) {
        if (site.site == Site::kFirstTokenShare) return;
        LinearHistogram linear{figures.at(site).abs_max};
        for (int64_t r = 0; r < x.rows; ++r)
          for (int64_t j = 0; j < x.cols; ++j) linear.add(x.row(r)[j]);
        MassiveCounter massive(kMassiveRatio * figures.at(site).median_abs);
        massive.add(static_cast<int64_t>(input), x, !of_expert && inputs.has_positions(site.site));
        const std::lock_guard<std::mutex> lock(mutex);  // neither depends on the order
        total.linear.at(site).add(linear);
        total.massive.at(site).add(massive);
      },
      [](Nothing&) {});
  return total;
}

WatchedFacts watch_facts(const Model& model, const WatchedInputs& inputs, const ComputeOptions& compute,
                         ProgressSink* progress) {
  const ActivationMagnitudes magnitudes = measure_magnitudes(model, inputs, compute, progress);
  WatchedFacts watched;
  ActivationFacts& facts = watched.facts;
  facts.data_name = inputs.name();
  facts.data_hash = inputs.hash();
  facts.windows = static_cast<int64_t>(inputs.count());
  facts.tokens = inputs.rows();
  facts.sites = all_figures(magnitudes);
  ActivationDetails details = measure_details(model, inputs, facts.sites, compute, progress);
  for (auto& [site, figures] : facts.sites) figures.massive = details.massive.at(site).result();
  facts.outlier_features = outlier_features(magnitudes.sums, facts.sites, model.config().depth());
  for (const auto& [layer, heads] : magnitudes.sinks) {
    AttentionSink& sink = facts.sinks[layer];
    for (const double sum : heads) {
      sink.heads.push_back(sum / static_cast<double>(magnitudes.sink_queries));
      sink.mean += sink.heads.back() / static_cast<double>(heads.size());
    }
  }
  watched.linear = std::move(details.linear);
  for (const auto& [site, sums] : magnitudes.sums) watched.channels[site] = sums.largest;
  return watched;
}

ActivationFacts activation_facts(const Model& model, const EvaluationData& data, const ComputeOptions& compute,
                                 ProgressSink* progress) {
  require_language_model(model.config(), model.source().name, "activations");
  return watch_facts(model, *windows_of_text(data), compute, progress).facts;
}

}  // namespace vernier
