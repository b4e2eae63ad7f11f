// values_bench MODEL --scheme S[,S...] --method M[,M...] --text NAME=FILE [--text ...] [--windows N] [--calibration-text FILE
// --calibration-windows N] [--quantize-embedding] [--threads N]: KL of every value search under every scheme, a line each:
// mean KL on each text, and the CPU seconds of the search. Matrices outside of the layers keep their values unless asked.

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <optional>

#include "cpu_seconds.h"
#include "data/named_texts.h"
#include "data/text_domains.h"
#include "vernier/evaluate.h"
#include "vernier/planning.h"
#include "vernier/quantize.h"

namespace vernier {

namespace {

struct Arguments {
  std::string model;
  std::vector<std::string> schemes, methods, texts, calibration_texts;
  int64_t windows = 16, calibration_windows = 0;
  bool quantize_embedding = false;
  int threads = 0;
};

void run(const Arguments& a) {
  ComputeOptions compute;
  compute.threads = a.threads;
  const int threads = resolve_threads(compute);
  configure_process(threads);
  const Model model = load_model(a.model);
  const Tokenizer tokenizer(load_tokenizer_of(model.source().path));
  const EvaluationData text = calibration_windows(calibration_text(tokenizer, a.calibration_texts, nullptr), 512,
                                                  a.calibration_windows, nullptr);
  const Calibration calibration = calibrate(model, text, compute);
  fmt::print("calibrated on {} tokens of {}\n", calibration.tokens, calibration.data_name);
  std::vector<EvaluationData> texts;
  for (const DomainFiles& domain : domains_of(a.texts))
    texts.push_back(evaluation_windows(tokenizer, domain.files, {.context = 512, .max_windows = a.windows}, nullptr));
  for (const std::string& scheme : a.schemes)
    for (const std::string& method : a.methods) {
      Plan plan = plan_uniform(model, scheme);
      plan.method = method;
      for (PlanEntry& entry : plan.entries)
        if (entry.layer < 0 && !a.quantize_embedding) entry.scheme = "f32";
      std::optional<Model> made;
      const Seconds seconds =
          seconds_of([&] { made = quantize(model, calibration, plan, threads).in_memory(nullptr); });
      std::string line = fmt::format("{:<20} {:<12}", scheme, method);
      for (const EvaluationData& data : texts) {
        const Measured kl = evaluate({&*made}, &model, data, {compute})[0].all.kl();
        line += fmt::format(" {}: {:.4f} ± {:.4f}", data.name, kl.mean, kl.standard_error);
      }
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
