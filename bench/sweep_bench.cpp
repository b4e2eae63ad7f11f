// sweep_bench MODEL TEXT [windows [repeats]]: what the isolated sweep costs against one full forward pass per
// component, both on the same windows in one run, so that a slow or busy machine does not tilt the ratio.
//
//   ratio = components * seconds of a full forward / seconds of the sweep

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <limits>
#include <map>
#include <numeric>
#include <optional>
#include <vector>

#include "engine/fused_sweep.h"
#include "ops/packed_linear.h"
#include "ops/parallel.h"
#include "vernier/diagnose.h"
#include "vernier/error.h"
#include "vernier/evaluate.h"
#include "vernier/quantize_tensor.h"

namespace vernier {

namespace {

/// Elapsed time, and that of all threads on the processor: on a busy machine only the latter still compares.
struct Seconds {
  double wall = std::numeric_limits<double>::infinity(), cpu = wall;
  Seconds operator+(const Seconds& other) const { return {wall + other.wall, cpu + other.cpu}; }
  Seconds operator-(const Seconds& other) const { return {wall - other.wall, cpu - other.cpu}; }
  Seconds operator/(double count) const { return {wall / count, cpu / count}; }
};

template <class Fn>
Seconds seconds_of(Fn&& fn) {
  const auto start = std::chrono::steady_clock::now();
  const std::clock_t cpu = std::clock();
  fn();
  return {std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(),
          static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC};
}

Seconds sum(const std::vector<Seconds>& parts) { return std::accumulate(parts.begin(), parts.end(), Seconds{0, 0}); }

Seconds least(const Seconds& a, const Seconds& b) { return {std::min(a.wall, b.wall), std::min(a.cpu, b.cpu)}; }

/// The product on every thread at once, as windows run it. @return GFLOP/s of all threads together
double packed_gflops(int threads) {
  constexpr int kRepeats = 3;
  constexpr int64_t kRows = 256, kIn = 512, kOut = 2560, kProducts = 200;
  const PackedLinear linear(at::ones({kOut, kIn}), {}, ComputeType::kFloat32);
  std::vector<Arena> arenas(static_cast<size_t>(threads));
  const auto products = [&](int64_t count) {
    parallel_for(threads, threads, [&](int64_t, int worker) {
      Arena& arena = arenas[static_cast<size_t>(worker)];
      const Arena::Scope scope(arena);
      const Slab x = arena.slab(kRows, kIn), y = arena.slab(kRows, kOut);
      std::fill_n(x.data, kRows * kIn, 1.0f);
      for (int64_t i = 0; i < count; ++i) linear.apply(x, y, /*accumulate=*/false, arena);
    });
  };
  products(1);  // code generation and first touch
  Seconds best;
  for (int i = 0; i < kRepeats; ++i) best = least(best, seconds_of([&] { products(kProducts); }));
  return 2e-9 * static_cast<double>(threads * kProducts * kRows * kIn * kOut) / best.wall;
}

/// Quantized matrices are made beforehand: both sides get their weights for nothing.
std::map<TensorId, at::Tensor> quantized_matrices(const Model& model, const std::string& scheme, int threads) {
  std::map<TensorId, at::Tensor> values;
  const Scheme wanted = Scheme::parse(scheme);
  for (const TensorId& id : model.matrices()) {
    if (id.layer < 0) continue;
    const at::Tensor weight = model.weight(id);
    const bool fits = !wanted.why_not(weight.size(0), weight.size(1));
    values[id] = quantize_values(fits ? wanted : Scheme::parse("gguf:q8_0"), weight, {}, threads, name_of(id));
  }
  return values;
}

void run(const std::string& path, const std::string& text, int64_t windows, int repeats) {
  const ComputeOptions compute;
  const int threads = resolve_threads(compute);
  configure_process(threads);
  const Model model = load_model(path);
  const Tokenizer tokenizer(load_tokenizer_of(model.source().path));
  const EvaluationData data =
      text_windows(tokenizer, text, read_text_file(text).text, {.context = 512, .max_windows = windows});
  const auto values = quantized_matrices(model, "gguf:q4_k", threads);
  const WeightSource changed = [&](const TensorId& id) { return values.at(id); };
  const std::vector<Component> components =
      components_of(model.config(), {ComponentKind::kHead, ComponentKind::kKvHead, ComponentKind::kFfn});
  fmt::print("{}: {} windows of {} tokens, {} scored, {} threads, f32, {}\n", model.source().name, data.windows.size(),
             data.context, data.scored_tokens(), threads, matmul_backend());
  std::fflush(stdout);

  // A full forward after every layer of the sweep, so that both meet the same machine: a sweep takes minutes, and the
  // fastest of a few short forwards beside it would compare a lucky second with an average minute.
  const auto layers = static_cast<size_t>(model.config().depth());
  std::vector<Seconds> layer(layers), forward(layers);
  Seconds base, packing;
  double kl = 0;
  for (int repeat = 0; repeat < repeats; ++repeat) {
    std::optional<FusedSweep> sweep;
    base = least(base, seconds_of([&] { sweep.emplace(model, data, compute.type, threads); }));
    packing = least(packing, seconds_of([&] { FusedModel(model, compute.type, data.longest()); }));
    kl = 0;
    for (size_t l = 0; l < layers; ++l) {
      layer[l] = least(layer[l], seconds_of([&] {
                         std::vector<Perturbation> own;
                         for (const Component& c : components)
                           if (c.layer == static_cast<int>(l)) own.push_back({c, changed});
                         for (const auto& damage : sweep->layer(static_cast<int>(l), own, nullptr))
                           for (const DamageSums& window : damage) kl += window.kl;
                       }));
      forward[l] = least(forward[l], seconds_of([&] { evaluate({&model}, nullptr, data, {compute}); }));
    }
  }
  const Seconds once = base - packing, all = sum(layer), sweep = once + all;
  const Seconds full = sum(forward) / static_cast<double>(layers) - packing;
  const auto count = static_cast<double>(components.size());
  fmt::print("              wall s     CPU s\n");
  fmt::print("base pass  {:9.3f} {:9.3f}\n", once.wall, once.cpu);
  fmt::print("layers     {:9.3f} {:9.3f}   damage of {} components, sum of KL {:.6f}\n", all.wall, all.cpu,
             components.size(), kl / static_cast<double>(data.scored_tokens()));
  fmt::print("sweep      {:9.3f} {:9.3f}   both together\n", sweep.wall, sweep.cpu);
  fmt::print("forward    {:9.3f} {:9.3f}   one full evaluation, {:.0f} tok/s; the mean of one after each layer\n",
             full.wall, full.cpu,
             static_cast<double>(data.windows.size()) * static_cast<double>(data.context) / full.wall);
  fmt::print("ratio      {:9.3f} {:9.3f}   components * forward / sweep\n", count * full.wall / sweep.wall,
             count * full.cpu / sweep.cpu);
  fmt::print("product    {:9.1f} GFLOP/s, packed [256 x 512] x [512 -> 2560] on {} threads\n", packed_gflops(threads),
             threads);
  fmt::print(
      "each part the best of {}; not included: loading, quantizing, packing the model ({:.3f} s). Included in the\n"
      "sweep: packing each component, the base pass, KL and next-token scores of all; in the forward:\n"
      "next-token scores, no KL.\n",
      repeats, packing.wall);
}

}  // namespace

}  // namespace vernier

int main(int argc, char** argv) {
  const int64_t windows = argc > 3 ? std::atoll(argv[3]) : 16;
  const int repeats = argc > 4 ? std::atoi(argv[4]) : 3;
  if (argc < 3 || argc > 5 || windows < 2 || repeats < 1) {
    fmt::print(stderr, "usage: sweep_bench MODEL TEXT [windows >= 2 [repeats >= 1]]\n");
    return 2;
  }
  try {
    vernier::run(argv[1], argv[2], windows, repeats);
    return 0;
  } catch (const vernier::Error& e) {
    fmt::print(stderr, "sweep_bench: {}\n", e.what());
    return 1;
  }
}
