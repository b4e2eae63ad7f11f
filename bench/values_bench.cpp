// values_bench MODEL --scheme S[,S...] --method M[,M...] --text NAME=FILE [--text ...] [--windows N]
// [--calibration-text FILE --calibration-windows N] [--calibration-seeds N] [--quantize-embedding] [--threads N]: KL of
// every value search under every scheme, a line each: mean KL on each text, and the CPU seconds of the search. Matrices
// outside of the layers keep their values unless asked. Calibration windows are evenly spaced; with seeds a search is
// made N times, each from other windows drawn at random, and behind every mean KL stand its lowest and highest.

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <numeric>

#include "base/counter_random.h"
#include "cpu_seconds.h"
#include "data/named_texts.h"
#include "data/text_domains.h"
#include "data/windows_hash.h"
#include "vernier/evaluate.h"
#include "vernier/planning.h"
#include "vernier/quantize.h"
#include "vernier/value_search.h"

namespace vernier {

namespace {

struct Arguments {
  std::string model;
  std::vector<std::string> schemes, methods, texts, calibration_texts;
  int64_t windows = 16, calibration_windows = 0, calibration_seeds = 0;
  bool quantize_embedding = false;
  int threads = 0;
};

constexpr int64_t kContext = 512;

/// So many windows of `all` at random, in their order; 0: all.
EvaluationData drawn_windows(const EvaluationData& all, int64_t count, uint64_t seed) {
  std::vector<size_t> places(all.windows.size());
  std::iota(places.begin(), places.end(), 0);
  std::ranges::sort(places, {}, [&](size_t place) { return random_bits(seed, place); });
  if (count > 0) places.resize(std::min(places.size(), static_cast<size_t>(count)));
  std::ranges::sort(places);
  EvaluationData drawn = all;
  drawn.windows.clear();
  for (const size_t place : places) drawn.windows.push_back(all.windows[place]);
  drawn.hash = hash_windows(drawn);
  return drawn;
}

std::vector<Calibration> calibrations_of(const Model& model, const TokenizedText& text, const Arguments& a,
                                         const ComputeOptions& compute) {
  if (a.calibration_seeds == 0)
    return {calibrate(model, calibration_windows(text, kContext, a.calibration_windows, nullptr), compute)};
  const EvaluationData all = calibration_windows(text, kContext, 0, nullptr);
  std::vector<Calibration> made;
  for (int64_t seed = 1; seed <= a.calibration_seeds; ++seed)
    made.push_back(calibrate(model, drawn_windows(all, a.calibration_windows, static_cast<uint64_t>(seed)), compute));
  return made;
}

/// Mean and standard error over windows, and the range over models where there are several.
std::string kl_on(const std::vector<Model>& models, const Model& reference, const EvaluationData& data,
                  const ComputeOptions& compute) {
  std::vector<const Model*> compared;
  for (const Model& model : models) compared.push_back(&model);
  std::vector<Measured> all;
  Measured mean;
  for (const Evaluation& one : evaluate(compared, &reference, data, {compute})) {
    all.push_back(one.all.kl());
    mean.mean += all.back().mean / static_cast<double>(models.size());
    mean.standard_error += all.back().standard_error / static_cast<double>(models.size());
  }
  const std::string text = fmt::format("{:.4f} ± {:.4f}", mean.mean, mean.standard_error);
  if (all.size() == 1) return text;
  const auto [least, most] = std::ranges::minmax(all, {}, &Measured::mean);
  return fmt::format("{} [{:.4f}, {:.4f}]", text, least.mean, most.mean);
}

void run(const Arguments& a) {
  ComputeOptions compute;
  compute.threads = a.threads;
  const int threads = resolve_threads(compute);
  configure_process(threads);
  const Model model = load_model(a.model);
  const Tokenizer tokenizer(load_tokenizer_of(model.source().path));
  const std::vector<Calibration> calibrations =
      calibrations_of(model, calibration_text(tokenizer, a.calibration_texts, nullptr), a, compute);
  for (const Calibration& calibration : calibrations)
    fmt::print("calibrated on {} tokens of {} ({})\n", calibration.tokens, calibration.data_name,
               calibration.data_hash.substr(0, 8));
  std::vector<EvaluationData> texts;
  for (const DomainFiles& domain : domains_of(a.texts))
    texts.push_back(
        evaluation_windows(tokenizer, domain.files, {.context = kContext, .max_windows = a.windows}, nullptr));
  for (const std::string& scheme : a.schemes)
    for (const std::string& method : a.methods) {
      Plan plan = plan_uniform(model, scheme);
      plan.method = method;
      for (PlanEntry& entry : plan.entries)
        if (entry.layer < 0 && !a.quantize_embedding) entry.scheme = "f32";
      const bool calibrated = find_value_search(method).needs != ValueSearch::Needs::kNothing;
      std::vector<Model> made;
      const Seconds seconds = seconds_of([&] {
        for (const Calibration& calibration : calibrations)
          if (calibrated || made.empty())
            made.push_back(quantize(model, calibration, plan, threads).in_memory(nullptr));
      });
      std::string line = fmt::format("{:<20} {:<12}", scheme, method);
      for (const EvaluationData& data : texts)
        line += fmt::format(" {}: {}", data.name, kl_on(made, model, data, compute));
      fmt::print("{}  {:.0f} s, {:.0f} CPU s\n", line, seconds.wall, seconds.cpu);
      std::fflush(stdout);
    }
}

}  // namespace

}  // namespace vernier

int main(int argc, char** argv) {
  vernier::Arguments a;
  CLI::App app("KL of value searches");
  app.add_option("MODEL", a.model)->required();
  app.add_option("--scheme", a.schemes)->delimiter(',')->required();
  app.add_option("--method", a.methods)->delimiter(',')->required();
  app.add_option("--text", a.texts)->required();
  app.add_option("--windows", a.windows);
  app.add_option("--calibration-text", a.calibration_texts);
  app.add_option("--calibration-windows", a.calibration_windows);
  app.add_option("--calibration-seeds", a.calibration_seeds);
  app.add_flag("--quantize-embedding", a.quantize_embedding);
  app.add_option("--threads", a.threads);
  CLI11_PARSE(app, argc, argv);
  try {
    vernier::run(a);
    return 0;
  } catch (const std::exception& e) {
    fmt::print(stderr, "values_bench: {}\n", e.what());
    return 1;
  }
}
