#include "activations/watched_text.h"

#include <mutex>

#include "activations/outlier_features.h"
#include "activations/watch_windows.h"
#include "model/language_model.h"

namespace vernier {

namespace {

constexpr double kMassiveRatio = 100;

/// A pass that shows every site of every window.
template <class Sums, class Visit, class Merge>
void watch_pass(const Model& model, const EvaluationData& data, const ComputeOptions& compute, const char* stage,
                ProgressSink* progress, Visit&& visit, Merge&& merge) {
  const std::unique_ptr<Engine> engine = make_engine(compute);
  const auto prepared = engine->prepare(model, {.type = compute.type, .positions = data.longest()});
  if (progress != nullptr) progress->begin(stage, static_cast<int64_t>(data.windows.size()), "windows");
  SharedProgress shared(progress, model.config().depth());
  watch_windows<Sums>(*prepared, data, engine->workers(), shared, visit, merge);
  if (progress != nullptr) progress->end();
}

std::map<SiteId, SiteFigures> all_figures(const ActivationMagnitudes& magnitudes) {
  std::map<SiteId, SiteFigures> figures;
  for (const auto& [site, sums] : magnitudes.sums) figures[site] = figures_of(sums, magnitudes.histograms.at(site));
  return figures;
}

}  // namespace

ActivationMagnitudes measure_magnitudes(const Model& model, const EvaluationData& data, const ComputeOptions& compute,
                                        ProgressSink* progress) {
  struct OfWindow {
    std::map<SiteId, ActivationSums> sums;
    std::map<int, std::vector<double>> sinks;
    int64_t queries = 0;
  };
  ActivationMagnitudes total;
  std::mutex mutex;
  watch_pass<OfWindow>(
      model, data, compute, "activations: magnitudes", progress,
      [&](OfWindow& own, size_t window, const SiteId& site, bool of_expert, const Slab& x) {
        if (site.site == Site::kFirstTokenShare) {
          const int64_t first = data.windows[window].first_row;
          std::vector<double>& heads = own.sinks[site.layer];
          heads.assign(static_cast<size_t>(x.cols), 0);
          for (int64_t r = first; r < x.rows; ++r)
            for (int64_t h = 0; h < x.cols; ++h) heads[static_cast<size_t>(h)] += x.row(r)[h];
          own.queries = x.rows - first;
          return;
        }
        own.sums[site].add(x, !of_expert);
        MagnitudeHistogram histogram;
        for (int64_t r = 0; r < x.rows; ++r)
          for (int64_t j = 0; j < x.cols; ++j) histogram.add(x.row(r)[j]);
        const std::lock_guard<std::mutex> lock(mutex);  // counts, whose order does not matter
        total.histograms[site].add(histogram);
      },
      [&](OfWindow& own) {
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

ActivationDetails measure_details(const Model& model, const EvaluationData& data,
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
      model, data, compute, "activations: ranges", progress,
      [&](Nothing&, size_t window, const SiteId& site, bool of_expert, const Slab& x) {
        if (site.site == Site::kFirstTokenShare) return;
        LinearHistogram linear{figures.at(site).abs_max};
        for (int64_t r = 0; r < x.rows; ++r)
          for (int64_t j = 0; j < x.cols; ++j) linear.add(x.row(r)[j]);
        MassiveCounter massive(kMassiveRatio * figures.at(site).median_abs);
        massive.add(static_cast<int64_t>(window), x, !of_expert);
        const std::lock_guard<std::mutex> lock(mutex);  // neither depends on the order
        total.linear.at(site).add(linear);
        total.massive.at(site).add(massive);
      },
      [](Nothing&) {});
  return total;
}

WatchedText watch_text(const Model& model, const EvaluationData& data, const ComputeOptions& compute,
                       ProgressSink* progress) {
  require_language_model(model.config(), model.source().name, "activations");
  const ActivationMagnitudes magnitudes = measure_magnitudes(model, data, compute, progress);
  WatchedText text;
  text.facts.data_name = data.name;
  text.facts.data_hash = data.hash;
  text.facts.windows = static_cast<int64_t>(data.windows.size());
  for (const TokenWindow& window : data.windows) text.facts.tokens += static_cast<int64_t>(window.tokens.size());
  text.facts.sites = all_figures(magnitudes);
  ActivationDetails details = measure_details(model, data, text.facts.sites, compute, progress);
  for (auto& [site, figures] : text.facts.sites) figures.massive = details.massive.at(site).result();
  text.facts.outlier_features = outlier_features(magnitudes.sums, text.facts.sites, model.config().depth());
  for (const auto& [layer, heads] : magnitudes.sinks) {
    AttentionSink& sink = text.facts.sinks[layer];
    for (const double sum : heads) {
      sink.heads.push_back(sum / static_cast<double>(magnitudes.sink_queries));
      sink.mean += sink.heads.back() / static_cast<double>(heads.size());
    }
  }
  text.linear = std::move(details.linear);
  for (const auto& [site, sums] : magnitudes.sums) text.channels[site] = sums.largest;
  return text;
}

ActivationFacts activation_facts(const Model& model, const EvaluationData& data, const ComputeOptions& compute,
                                 ProgressSink* progress) {
  return watch_text(model, data, compute, progress).facts;
}

}  // namespace vernier
