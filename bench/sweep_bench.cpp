// sweep_bench MODEL TEXT [--windows 16] [--repeats 3] [--every 1] [--paced]: what the isolated sweep costs against one full forward
// pass per component, both on the same windows in one run, so that a slow or busy machine does not tilt the ratio.
//
//   ratio = components * seconds of a full forward / seconds of the sweep
//
// --every N: of a deep model only each N-th layer is perturbed. --paced: in turns with llama.cpp, see llama_cpp/pairs.mjs.

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <numeric>
#include <optional>
#include <vector>

#include "cpu_seconds.h"
#include "engine/fused_sweep.h"
#include "forward_pass.h"
#include "ops/parallel.h"
#include "packed_rate.h"
#include "vernier/diagnose.h"
#include "vernier/error.h"
#include "vernier/evaluate.h"
#include "vernier/quantize_tensor.h"

namespace vernier {

namespace {

Seconds sum(const std::vector<Seconds>& parts) { return std::accumulate(parts.begin(), parts.end(), Seconds{0, 0}); }

/// Quantized matrices are made beforehand: both sides get their weights for nothing.
std::map<TensorId, at::Tensor> quantized_matrices(const Model& model, const std::vector<int>& layers,
                                                  const std::string& scheme, int threads) {
  std::map<TensorId, at::Tensor> values;
  const Scheme wanted = Scheme::parse(scheme);
  for (const TensorId& id : model.matrices()) {
    if (std::find(layers.begin(), layers.end(), id.layer) == layers.end()) continue;
    const at::Tensor weight = model.weight(id);
    const bool fits = !wanted.why_not(weight.size(0), weight.size(1));
    values[id] = quantize_values(fits ? wanted : Scheme::parse("gguf:q8_0"), weight, {}, threads, name_of(id));
  }
  return values;
}

struct Arguments {
  std::string model, text;
  int64_t windows = 16;
  int repeats = 3, every = 1;
  bool paced = false;
};

void run(const Arguments& a) {
  const ComputeOptions compute;
  const int threads = resolve_threads(compute);
  configure_process(threads);
  const Model model = load_model(a.model);
  const Tokenizer tokenizer(load_tokenizer_of(model.source().path));
  const EvaluationData data =
      text_windows(tokenizer, a.text, read_text_file(a.text).text, {.context = 512, .max_windows = a.windows});
  std::vector<int> layers;  // the middle one of each N
  for (int l = a.every / 2; l < model.config().depth(); l += a.every) layers.push_back(l);
  const auto values = quantized_matrices(model, layers, "gguf:q4_k", threads);
  const WeightSource changed = [&](const TensorId& id) { return values.at(id); };
  const std::vector<Component> all_components =
      components_of(model.config(), {ComponentKind::kHead, ComponentKind::kKvHead, ComponentKind::kFfn});
  fmt::print("{}: {} windows of {} tokens, {} scored, {} threads, f32, {}\n", model.source().name, data.windows.size(),
             data.context, data.scored_tokens(), threads, matmul_backend());
  std::fflush(stdout);

  // A full forward after every layer of the sweep, so that both meet the same machine: a sweep takes minutes, and the
  // fastest of a few short forwards beside it would compare a lucky second with an average minute.
  const std::unique_ptr<Engine> engine = make_engine(compute);
  const auto ready = engine->prepare(model, {.positions = data.longest()});
  forward_pass(*engine, *ready, data);  // code generation and first touch
  std::vector<Seconds> layer(layers.size()), forward(layers.size());
  Seconds base, packing;
  double kl = 0;
  size_t components = 0;
  for (int repeat = 0; repeat < a.repeats; ++repeat) {
    std::optional<FusedSweep> sweep;
    base = least(base, seconds_of([&] { sweep.emplace(model, data, compute.type, threads); }));
    packing = least(packing, seconds_of([&] { FusedModel(model, compute.type, data.longest()); }));
    take_turns(a.paced, "base", base - packing, 0);
    kl = 0;
    components = 0;
    int next = 0;
    for (size_t i = 0; i < layers.size(); ++i) {
      std::vector<Perturbation> own;
      for (const Component& c : all_components)
        if (c.layer == layers[i]) own.push_back({c, changed});
      components += own.size();
      const Seconds part = seconds_of([&] {
        for (; next < layers[i]; ++next) sweep->layer(Stack::kOnly, next, {}, nullptr);
        for (const auto& damage : sweep->layer(Stack::kOnly, next++, own, nullptr))
          for (const DamageSums& window : damage) kl += window.kl;
      });
      layer[i] = least(layer[i], part);
      take_turns(a.paced, fmt::format("L{}", layers[i]), part, static_cast<double>(own.size()));
      forward[i] = least(forward[i], seconds_of([&] { forward_pass(*engine, *ready, data); }));
    }
  }
  const Seconds once = base - packing, all = sum(layer), sweep = once + all;
  const Seconds full = sum(forward) / static_cast<double>(layers.size());
  const auto count = static_cast<double>(components);
  fmt::print("              wall s     CPU s\n");
  fmt::print("base pass  {:9.3f} {:9.3f}\n", once.wall, once.cpu);
  fmt::print("layers     {:9.3f} {:9.3f}   damage of {} components, sum of mean KL {:.17g}\n", all.wall, all.cpu,
             components, kl / static_cast<double>(data.scored_tokens()));
  fmt::print("sweep      {:9.3f} {:9.3f}   both together\n", sweep.wall, sweep.cpu);
  fmt::print("forward    {:9.3f} {:9.3f}   one full evaluation, {:.0f} tok/s; the mean of one after each layer\n",
             full.wall, full.cpu,
             static_cast<double>(data.windows.size()) * static_cast<double>(data.context) / full.wall);
  fmt::print("ratio      {:9.3f} {:9.3f}   components * forward / sweep\n", count * full.wall / sweep.wall,
             count * full.cpu / sweep.cpu);
  fmt::print("product    {:9.1f} GFLOP/s, packed [256 x 512] x [512 -> 2560] on {} threads\n",
             packed_rate(threads, 256, 512, 2560).gflops, threads);
  fmt::print(
      "each part the best of {}; not included: loading, quantizing, packing the model ({:.3f} s). Included in the\n"
      "sweep: packing each component, the base pass, KL and next-token scores of all; in the forward:\n"
      "next-token scores, no KL.\n",
      a.repeats, packing.wall);
}

}  // namespace

}  // namespace vernier

int main(int argc, char** argv) {
  vernier::Arguments a;
  CLI::App app("What the isolated sweep costs against a full forward pass per component");
  app.add_option("MODEL", a.model)->required();
  app.add_option("TEXT", a.text)->required();
  app.add_option("--windows", a.windows)->check(CLI::Range(2, 1 << 20));
  app.add_option("--repeats", a.repeats)->check(CLI::PositiveNumber);
  app.add_option("--every", a.every, "Perturb each N-th layer only")->check(CLI::PositiveNumber);
  app.add_flag("--paced", a.paced, "After each part wait for a line on standard input");
  CLI11_PARSE(app, argc, argv);
  try {
    vernier::run(a);
    return 0;
  } catch (const vernier::Error& e) {
    fmt::print(stderr, "sweep_bench: {}\n", e.what());
    return 1;
  }
}
