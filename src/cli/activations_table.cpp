#include "cli/activations_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <span>
#include <vector>

#include "base/text_table.h"

namespace vernier {

namespace {

std::string kl_text(const Measured& kl) {
  constexpr double kFewDigits = 0.0005;  // below it five decimals would leave one or none
  if (kl.mean > 0 && kl.mean < kFewDigits) return fmt::format("{:.2g} ± {:.1g}", kl.mean, kl.standard_error);
  return fmt::format("{:.5f} ± {}", kl.mean, number_cell(kl.standard_error, 5));
}

/// Of every kind of site the layer of the largest magnitude.
void print_sites(const ActivationFacts& facts, bool of_images, Console& console) {
  std::map<Site, std::pair<SiteId, const SiteFigures*>> largest;
  for (const auto& [id, figures] : facts.sites) {
    auto& known = largest[id.site];
    if (known.second == nullptr || figures.abs_max > known.second->abs_max) known = {id, &figures};
  }
  std::vector<std::string> header{"site", "absmax", "99.99%", "median", "kurtosis", "channels >= 6", "massive"};
  if (!of_images) header.insert(header.begin() + 2, "without 1st token");
  TextTable table(header);
  for (const auto& [site, entry] : largest) {
    const SiteFigures& f = *entry.second;
    std::vector<std::string> row{name_of(entry.first),
                                 fmt::format("{:.4g}", f.abs_max),
                                 fmt::format("{:.4g}", f.p99_99),
                                 fmt::format("{:.3g}", f.median_abs),
                                 fmt::format("{:.4g}", f.kurtosis),
                                 fmt::format("{}", f.channels_from_6),
                                 fmt::format("{}", f.massive.count)};
    if (!of_images) row.insert(row.begin() + 2, fmt::format("{:.4g}", f.abs_max_after_first));
    table.add(row);
  }
  fmt::print(console.out, "{} {} of {}; of every site the layer with the largest magnitude\n{}", facts.tokens,
             of_images ? "patches and learned rows" : "tokens", facts.data_name, table.str(console.width()));
}

/// Of every kind of site those that stand out most. Where values are of the size of 6 anyway, most channels are features.
void print_features(const ActivationFacts& facts, bool of_images, Console& console) {
  constexpr size_t kShown = 6;
  std::map<Site, std::vector<OutlierFeature>> by_site;
  for (const OutlierFeature& f : facts.outlier_features) by_site[f.site].push_back(f);
  std::map<Site, int64_t> channels;
  for (const auto& [id, figures] : facts.sites) channels[id.site] = figures.channels;
  for (auto& [site, own] : by_site) {
    std::ranges::stable_sort(own, std::greater(), &OutlierFeature::ratio_to_median);
    const std::string name = name_of(SiteId{site});
    for (const OutlierFeature& f : std::span(own).first(std::min(own.size(), kShown)))
      fmt::print(console.out,
                 "outlier feature: channel {} of {}: {:.0f}% of layers, {:.0f}% of {}, up to {:.4g}, {:.4g} times "
                 "the median\n",
                 f.channel, name, 100 * f.layer_share, 100 * f.token_share, of_images ? "rows" : "tokens", f.abs_max,
                 f.ratio_to_median);
    if (own.size() <= kShown) continue;
    const auto count = static_cast<int64_t>(own.size());
    fmt::print(console.out, "... and {} more of its {} channels{}\n", count - static_cast<int64_t>(kShown),
               channels[site],
               2 * count > channels[site] ? ": magnitudes of 6 and more are nothing special there" : "");
  }
  const auto most = std::max_element(facts.sinks.begin(), facts.sinks.end(),
                                     [](const auto& a, const auto& b) { return a.second.mean < b.second.mean; });
  if (most != facts.sinks.end())
    fmt::print(console.out, "attention on the first token: at most {:.0f}%, in layer {}\n", 100 * most->second.mean,
               most->first);
}

void print_grids(const ActivationStudy& study, Console& console) {
  if (study.grids.empty()) return;
  std::vector<std::string> header{study.inputs == "window" ? "KL, nats per token" : "KL, nats per image"};
  for (const auto& [site, kl] : study.grids.front().alone) header.push_back(name_of(SiteId{site}));
  header.emplace_back("all");
  header.emplace_back("residual error");
  TextTable table(header);
  for (const GridFigures& grid : study.grids) {
    std::vector<std::string> row{grid.grid.name()};
    for (const auto& [site, kl] : grid.alone) row.push_back(kl_text(kl));
    row.push_back(kl_text(grid.together));
    row.push_back(fmt::format("{:.3g} -> {:.3g}", grid.growth.front(), grid.growth.back()));
    table.add(row);
  }
  const std::string answers = study.inputs == "prompt" ? fmt::format(", KL over {} images", study.images) : "";
  fmt::print(console.out, "\n{} {}s of {}{}\n{}", study.windows, study.inputs, study.data_name, answers,
             table.str(console.width()));
}

void print_caches(const ActivationStudy& study, Console& console) {
  if (study.caches.empty()) return;
  TextTable table({"cache", "keys alone", "values alone", "both"});
  for (const CacheFigures& cache : study.caches)
    table.add({cache.format.name(), kl_text(cache.keys), kl_text(cache.values), kl_text(cache.both)});
  fmt::print(console.out, "\n{}", table.str(console.width()));
}

}  // namespace

void print_activations(const ActivationStudy& study, Console& console) {
  const bool of_images = study.inputs == "image";
  print_sites(study.facts, of_images, console);
  print_features(study.facts, of_images, console);
  print_grids(study, console);
  print_caches(study, console);
}

}  // namespace vernier
