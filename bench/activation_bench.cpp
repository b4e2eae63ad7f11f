// activation_bench MODEL --texts FOLDER --golden golden.json [--part facts,dynamic,static,weights,cache] [--windows N]:
// what another implementation measured of SmolLM2's activations (golden.json, parts 2, 6 and 7), ours and their ratio,
// a line each. FOLDER holds calib.txt and wiki400k.txt.

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <functional>

#include "activations/resolve_grid.h"
#include "golden.h"
#include "vernier/evaluate.h"

namespace vernier {

namespace {

struct Arguments {
  std::string model, texts, golden;
  std::vector<std::string> parts{"facts", "dynamic", "static", "cache", "weights"};
  int64_t windows = 32;
  int threads = 0;
  std::string device = "cpu";
};

struct SiteName {
  const char* theirs;
  Site ours;
};
constexpr SiteName kSiteNames[] = {{"qkv", Site::kAttnInput},
                                   {"o", Site::kAttnOutputInput},
                                   {"gu", Site::kFfnInput},
                                   {"down", Site::kFfnDownInput},
                                   {"res", Site::kResidual}};
constexpr Site kMultiplied[] = {Site::kAttnInput, Site::kAttnOutputInput, Site::kFfnInput, Site::kFfnDownInput};

void print_row(const std::string& name, double ours, double theirs, const std::string& remark = "") {
  fmt::print("{:<46} {:>12.6g} {:>12.6g} {:>8.4f}  {}\n", name, ours, theirs, ours / theirs, remark);
  std::fflush(stdout);
}

// Part 2. --------------------------------------------------------------------------------------------------------------

struct FactName {
  const char* theirs;
  double (*ours)(const SiteFigures&);
};
constexpr FactName kFacts[] = {
    {"absmax", [](const SiteFigures& f) -> double { return f.abs_max; }},
    {"absmax_without_position_0", [](const SiteFigures& f) -> double { return f.abs_max_after_first; }},
    {"kurtosis", [](const SiteFigures& f) { return f.kurtosis; }},
    {"median_abs", [](const SiteFigures& f) { return f.median_abs; }},
    {"mean_abs", [](const SiteFigures& f) { return f.mean_abs; }},
    {"mean_abs_channel_median", [](const SiteFigures& f) { return f.channel_mean_abs; }},
    {"p99_9", [](const SiteFigures& f) { return f.p99_9; }},
    {"p99_99", [](const SiteFigures& f) { return f.p99_99; }},
    {"channels_ge_6", [](const SiteFigures& f) { return static_cast<double>(f.channels_from_6); }},
    {"channels_ge_6_without_position_0",
     [](const SiteFigures& f) { return static_cast<double>(f.channels_from_6_after_first); }},
    {"massive", [](const SiteFigures& f) { return static_cast<double>(f.massive.count); }},
};

double their_fact(const Json& site, const std::string& name) {
  if (name != "massive") return site.at(name).get<double>();
  return site.contains("massive") ? site.at("massive").at("count").get<double>() : 0.0;
}

/// The layer where theirs is largest, and the layers' worst ratio.
void compare_facts(const ActivationFacts& facts, const Json& golden) {
  for (const SiteName& site : kSiteNames)
    for (const FactName& fact : kFacts) {
      double ours = 0, theirs = -1, worst = 1;
      int at = 0, worst_at = 0;
      for (int layer = 0; facts.sites.contains({site.ours, layer}); ++layer) {
        const double known =
            their_fact(golden.at("sites").at(fmt::format("blk.{}.{}", layer, site.theirs)), fact.theirs);
        const double found = fact.ours(facts.sites.at({site.ours, layer}));
        if (known > theirs) {
          theirs = known;
          ours = found;
          at = layer;
        }
        const double ratio = known == found ? 1 : found / known;
        if (std::abs(ratio - 1) > std::abs(worst - 1)) {
          worst = ratio;
          worst_at = layer;
        }
      }
      if (theirs == 0 && ours == 0) continue;
      print_row(fmt::format("facts/{}/{}", site.theirs, fact.theirs), ours, theirs,
                fmt::format("layer {}; of all layers the worst {:.4f}, layer {}", at, worst, worst_at));
    }
  for (const auto& [layer, sink] : facts.sinks)
    print_row(fmt::format("facts/attention_first_token/{}", layer), sink.mean,
              golden.at("attention_first_token").at(fmt::format("blk.{}", layer)).at("mean").get<double>());
}

// Parts 6 and 7. -------------------------------------------------------------------------------------------------------

struct Candidate {
  std::string name;  ///< their key
  const Model* model = nullptr;
  RoundedSites sites;
};

/// A few at a time, since each holds an output matrix.
void compare_kl(const Model& model, const EvaluationData& data, const std::vector<Candidate>& candidates,
                const Json& golden, const ComputeOptions& compute) {
  constexpr size_t kAtOnce = 5;
  for (size_t first = 0; first < candidates.size(); first += kAtOnce) {
    std::vector<const Model*> models;
    EvaluateOptions options{.compute = compute};
    const size_t end = std::min(first + kAtOnce, candidates.size());
    for (size_t c = first; c < end; ++c) {
      models.push_back(candidates[c].model);
      options.sites.push_back(std::make_shared<RoundedSites>(candidates[c].sites));
    }
    const std::vector<Evaluation> evaluations = evaluate(models, &model, data, options);
    for (size_t c = first; c < end; ++c)
      print_row(candidates[c].name, evaluations[c - first].all.kl().mean,
                golden.at(candidates[c].name).at("kl").get<double>());
  }
}

std::vector<Candidate> grid_candidates(const Model& model, const WatchedFacts& watched,
                                       const std::vector<std::pair<const char*, const char*>>& grids) {
  std::vector<Candidate> candidates;
  for (const auto& [theirs, grid] : grids)
    for (const SiteName& site : kSiteNames) {
      const bool all = site.ours == Site::kResidual;
      const std::vector<Site> kinds =
          all ? std::vector<Site>(std::begin(kMultiplied), std::end(kMultiplied)) : std::vector<Site>{site.ours};
      candidates.push_back({fmt::format("act/{}/{}", all ? "all" : site.theirs, theirs), &model,
                            resolve_grid(model, ActivationGrid::parse(grid), kinds, watched)});
    }
  return candidates;
}

std::vector<Candidate> cache_candidates(const Model& model) {
  std::vector<Candidate> candidates;
  for (const int bits : {8, 4, 3})
    for (const std::string what : {"keys", "values", "both"}) {
      Candidate candidate{fmt::format("int{}/{}", bits, what), &model, {}};
      for (int layer = 0; layer < model.config().depth(); ++layer)
        for (const Site site : {Site::kKeys, Site::kValues})
          if (what == "both" || (what == "keys") == (site == Site::kKeys))
            candidate.sites.caches[{site, layer}] = {CacheFormat::Kind::kInteger, bits};
      candidates.push_back(candidate);
    }
  return candidates;
}

// Weights: symmetric 8 bits a row with a float32 scale, and SmoothQuant's fold on what norms feed. ------------------------

Model changed(const Model& model, const std::function<at::Tensor(const TensorId&, const at::Tensor&)>& change) {
  Model other(model.config(), model.source());
  for (const TensorId& id : model.tensors()) other.set_weight(id, change(id, model.weight(id).to(at::kFloat)));
  return other;
}

Model eight_bit_rows(const Model& model) {
  return changed(model, [](const TensorId& id, const at::Tensor& w) {
    if (!is_matrix(id.role) || id.layer < 0) return w;
    const at::Tensor step = w.abs().amax(-1, true) / 127.0;
    return (w / step).round().clamp(-127, 127) * step;
  });
}

struct Smoothed {
  std::map<SiteId, at::Tensor> factors;  ///< what channels are divided by
  Model model;
  WatchedFacts watched;  ///< what of it ranges come from
};

Smoothed smoothed(const Model& model, const WatchedFacts& watched) {
  std::map<SiteId, at::Tensor> largest_weight;
  for (const TensorSpec& tensor : model.blueprint().tensors())
    if (tensor.input && (tensor.input->site == Site::kAttnInput || tensor.input->site == Site::kFfnInput)) {
      at::Tensor& known = largest_weight[*tensor.input];
      const at::Tensor own = model.weight(tensor.id).to(at::kFloat).abs().amax(0);
      known = known.defined() ? at::max(known, own) : own;
    }
  std::map<SiteId, at::Tensor> factors;
  WatchedFacts after = watched;
  for (const auto& [site, weight] : largest_weight) {
    const at::Tensor x = at::tensor(watched.channels.at(site));
    factors[site] = (x.sqrt() / weight.clamp_min(1e-5).sqrt()).clamp_min(1e-5);
    after.linear[site].range = (x / factors[site]).max().item<double>();
  }
  Model folded = changed(model, [&](const TensorId& id, const at::Tensor& w) {
    if (id.role == TensorRole::kAttnNorm) return w / factors.at({Site::kAttnInput, id.layer});
    if (id.role == TensorRole::kFfnNorm) return w / factors.at({Site::kFfnInput, id.layer});
    const std::optional<SiteId> fed = model.blueprint().at(id).input;
    return fed && factors.contains(*fed) ? w * factors.at(*fed) : w;
  });
  return {factors, std::move(folded), std::move(after)};
}

void compare_weights(const Model& model, const EvaluationData& data, const WatchedFacts& watched, const Json& golden,
                     const ComputeOptions& compute) {
  const std::vector<Site> kinds(std::begin(kMultiplied), std::end(kMultiplied));
  const Model rounded = eight_bit_rows(model);
  const Smoothed smooth = smoothed(model, watched);
  const Model smooth_rounded = eight_bit_rows(smooth.model);
  const auto sites = [&](const WatchedFacts& own, const char* grid) {
    return resolve_grid(model, ActivationGrid::parse(grid), kinds, own);
  };
  RoundedSites decomposed = sites(watched, "int8:token");
  for (auto& [site, rounding] : decomposed.inputs) rounding.keep_from = 6;
  decomposed.kept_weights = &model;
  compare_kl(model, data,
             {{"w8/fp_act", &rounded, {}},
              {"smoothquant/w8_fp_act", &smooth_rounded, {}},
              {"w8a8/dynamic_token", &rounded, sites(watched, "int8:token")},
              {"smoothquant/w8a8/dynamic_token", &smooth_rounded, sites(watched, "int8:token")},
              {"w8a8/static_absmax", &rounded, sites(watched, "int8:tensor")},
              {"smoothquant/w8a8/static_absmax", &smooth_rounded, sites(smooth.watched, "int8:tensor")},
              {"llm_int8", &rounded, decomposed}},
             golden, compute);
}

void run(const Arguments& a) {
  const ComputeOptions compute{.threads = a.threads, .device = a.device};
  configure_process(resolve_threads(compute));
  const Model model = load_model(a.model);
  const Tokenizer tokenizer(load_tokenizer_of(model.source().path));
  const Json golden = read_json(a.golden);
  const auto windows = [&](const std::string& file) {
    const std::string path = a.texts + "/" + file;
    return text_windows(tokenizer, path, golden_text(path), {.context = 512, .max_windows = a.windows});
  };
  const auto wants = [&](const char* part) { return std::find(a.parts.begin(), a.parts.end(), part) != a.parts.end(); };
  fmt::print("{:<46} {:>12} {:>12} {:>8}\n", "what", "ours", "theirs", "ratio");
  const EvaluationData calibration = windows("calib.txt");
  const WatchedFacts watched = wants("facts") || wants("static") || wants("weights")
                                   ? watch_facts(model, *windows_of_text(calibration), compute, nullptr)
                                   : WatchedFacts();
  if (wants("facts")) compare_facts(watched.facts, golden.at("2"));
  const EvaluationData data = windows("wiki400k.txt");
  const auto compare = [&](const std::vector<Candidate>& candidates, const char* part) {
    compare_kl(model, data, candidates, golden.at(part), compute);
  };
  if (wants("dynamic"))
    compare(
        grid_candidates(model, watched, {{"int8_dynamic_token", "int8:token"}, {"int4_dynamic_token", "int4:token"}}),
        "6");
  if (wants("cache")) compare(cache_candidates(model), "7");
  if (wants("static"))
    compare(grid_candidates(model, watched,
                            {{"int8_static_absmax", "int8:tensor"}, {"int8_static_p99.99", "int8:tensor:percentile"}}),
            "6");
  if (wants("weights")) compare_weights(model, data, watched, golden.at("6"), compute);
}

}  // namespace

}  // namespace vernier

int main(int argc, char** argv) {
  vernier::Arguments a;
  CLI::App app("SmolLM2's activations against another implementation's figures");
  app.add_option("MODEL", a.model)->required();
  app.add_option("--texts", a.texts)->required();
  app.add_option("--golden", a.golden)->required();
  app.add_option("--part", a.parts)->delimiter(',');
  app.add_option("--windows", a.windows);
  app.add_option("--threads", a.threads);
  app.add_option("--device", a.device);
  CLI11_PARSE(app, argc, argv);
  try {
    vernier::run(a);
    return 0;
  } catch (const std::exception& e) {
    fmt::print(stderr, "activation_bench: {}\n", e.what());
    return 1;
  }
}
