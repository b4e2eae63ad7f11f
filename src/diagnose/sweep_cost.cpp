#include "diagnose/sweep_cost.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <set>

#include "engine/fused_model.h"
#include "ops/distribution.h"
#include "ops/parallel.h"
#include "scheme/fitting.h"
#include "vernier/quantize_tensor.h"

namespace vernier {

namespace {

template <class Run>
double seconds_of(Run&& run) {
  const auto start = std::chrono::steady_clock::now();
  run();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Once it is warm: the least of three, or the first where that is long.
template <class Run>
double warm_seconds_of(Run&& run) {
  constexpr double kLong = 0.3;
  run();
  double least = seconds_of(run);
  for (int i = 0; i < 2 && least < kLong; ++i) least = std::min(least, seconds_of(run));
  return least;
}

/// Made-up numbers between -1 and 1.
void fill(float* values, int64_t count) {
  uint32_t state = 12345;
  for (int64_t i = 0; i < count; ++i) {
    state = state * 1664525u + 1013904223u;
    values[i] = static_cast<float>(state >> 8) / static_cast<float>(1 << 23) - 1;
  }
}

at::Tensor made_up(const std::vector<int64_t>& shape) {
  at::Tensor values = at::empty(shape, at::kFloat);
  fill(values.data_ptr<float>(), values.numel());
  return values;
}

/// Every thread runs one window's share at a time, as in the sweep: they share caches and memory.
template <class Run>
double seconds_on_all(std::vector<Arena>& arenas, Run&& run) {
  const auto threads = static_cast<int>(arenas.size());
  return warm_seconds_of([&] {
    parallel_for(threads, threads, [&](int64_t i, int) {
      Arena& arena = arenas[static_cast<size_t>(i)];
      const Arena::Scope scope(arena);
      run(arena);
    });
  });
}

/// Of the matrices of the first layer, of the first stack of several.
std::vector<int64_t> largest_shape(const ModelConfig& config) {
  const Stack stack = config.stacks.empty() ? Stack::kOnly : config.stacks.front().stack;
  const std::vector<WeightSlice> slices =
      slices_of(config, Component{.kind = ComponentKind::kLayer, .layer = 0, .stack = stack});
  const auto largest = std::max_element(slices.begin(), slices.end(),
                                        [](const WeightSlice& a, const WeightSlice& b) { return a.size() < b.size(); });
  return {largest->rows, largest->cols};
}

/// Weights that a token passes in a layer.
double weights_of_layer(const ModelConfig& config) {
  const ExpertsConfig& experts = config.layer(0).feed_forward.experts;
  double weights = 0;
  for (const WeightSlice& slice : slices_of(config, {ComponentKind::kLayer, 0}))
    weights += static_cast<double>(slice.size()) *
               (slice.tensor.expert < 0 ? 1.0 : static_cast<double>(experts.used) / static_cast<double>(experts.count));
  return weights;
}

/// The model's first layer alone, of made-up weights, with some of its vocabulary.
Model one_layer(const ModelConfig& config, int64_t vocabulary) {
  ModelConfig one = config;
  one.layers = {config.layer(0)};
  one.vocabulary = vocabulary;
  one.tied_embedding = true;
  Model model(one, {});
  for (const TensorSpec& spec : model.blueprint().tensors())
    model.set_weight(spec.id, made_up(spec.shape) / std::sqrt(static_cast<double>(spec.shape.back())));
  return model;
}

}  // namespace

double component_seconds(const Component& component, const ModelConfig& config, const SweepUnits& units) {
  const int depth = config.depth();
  const auto layers = [&](int first) {  // from there to the end
    return first >= depth ? 0 : static_cast<double>(depth - 1 - first) * units.block + units.last_block;
  };
  const double attention = units.block - units.ffn;
  const double ffn = component.layer + 1 == depth ? units.last_ffn : units.ffn;
  const double after = layers(component.layer + 1) + units.scores;
  // Of a head its queries, attention and output columns, with the quantized and with the original weights.
  if (component.kind == ComponentKind::kHead)
    return 2 * attention / static_cast<double>(config.layer(component.layer).attention.heads) + ffn + after;
  if (component.kind == ComponentKind::kKvHead)
    return 2 * attention / static_cast<double>(config.layer(component.layer).attention.kv_heads) + ffn + after;
  switch (restart_of(component)) {
    case Restart::kEmbedding: return layers(0) + units.scores;
    case Restart::kAttention: return layers(component.layer) + units.scores;
    case Restart::kAttentionOutput:
    case Restart::kFeedForward: return ffn + after;
    case Restart::kOutputMatrix: return units.scores;
  }
  return 0;
}

SweepUnits time_sweep(const Model& model, const ComputeOptions& compute, int64_t windows, int64_t context) {
  constexpr double kProducts = 4e9;  // multiplications of a timed share, per thread: well below a second
  constexpr int64_t kLogitWeights = 1 << 24;
  constexpr int kVariants = 8;  // that are compared with one tile of the base; about what a layer has
  const ModelConfig& c = model.config();
  std::vector<Arena> arenas(
      static_cast<size_t>(std::clamp<int64_t>(resolve_threads(compute), 1, std::max<int64_t>(1, windows))));
  const int64_t positions = context - 1, first_scored = context / 2, scored = positions - first_scored;

  const int64_t vocabulary = std::clamp<int64_t>(kLogitWeights / c.hidden, 1, c.vocabulary);
  const FusedModel fast(one_layer(c, vocabulary), compute.type, positions);
  const FusedBlock& block = fast.block(0);
  const RopeTables& rope = fast.rope();
  const int64_t timed =
      std::clamp<int64_t>(static_cast<int64_t>(kProducts / weights_of_layer(c)), kRowPadding, positions);
  const double share = static_cast<double>(positions) / static_cast<double>(timed);
  const auto stream = [&](Arena& arena) {
    const Slab x = arena.slab(timed, c.hidden);
    fill(x.data, timed * c.hidden);
    return x;
  };
  const auto with_stream = [&](auto&& run) {
    return share * seconds_on_all(arenas, [&](Arena& arena) {
             FusedOps ops(arena, rope);
             run(ops, stream(arena));
           });
  };
  const double filling = with_stream([](FusedOps&, const Slab&) {});
  SweepUnits units;
  units.block = with_stream([&](FusedOps& ops, const Slab& x) { run_block(ops, block, x, 0); }) - filling;
  units.last_block =
      with_stream([&](FusedOps& ops, const Slab& x) { run_block(ops, block, x, timed * first_scored / positions); }) -
      filling;
  units.ffn = with_stream([&](FusedOps& ops, const Slab& x) { run_ffn(ops, block, x); }) - filling;
  units.last_ffn = units.ffn * static_cast<double>(scored) / static_cast<double>(positions);

  const int64_t tile = std::min(scored, logit_tile_rows(c.vocabulary));
  const double tile_seconds = seconds_on_all(arenas, [&](Arena& arena) {
    const Slab hidden = arena.slab(tile, c.hidden), base = arena.slab(tile, vocabulary),
               logits = arena.slab(tile, vocabulary);
    fill(hidden.data, tile * c.hidden);
    fill(base.data, tile * vocabulary);
    const ReferenceTile reference(arena, base);
    for (int i = 0; i < kVariants; ++i) {
      fast.logits_by(fast.head(), arena, hidden, logits);
      for (int64_t r = 0; r < tile; ++r) reference.compare(r, logits.row(r), 0);
    }
  });
  units.scores = tile_seconds / kVariants * static_cast<double>(c.vocabulary) / static_cast<double>(vocabulary) *
                 static_cast<double>(scored) / static_cast<double>(tile);
  return units;
}

double encoding_seconds(const Model& model, const std::vector<std::string>& schemes, int threads) {
  constexpr int64_t kWeights = 1 << 18;
  const std::vector<int64_t> shape = largest_shape(model.config());
  const int64_t rows = std::clamp<int64_t>(kWeights / shape[1], std::min<int64_t>(32 * threads, shape[0]), shape[0]);
  const at::Tensor weight = made_up({rows, shape[1]});
  const std::vector<float> importance(static_cast<size_t>(shape[1]), 1.0f);
  // Timed on some rows of the largest matrix.
  std::set<std::string> done;
  double seconds = 0;
  for (const std::string& name : schemes) {
    const Scheme scheme = fitting_scheme(Scheme::parse(name), rows, shape[1]);
    if (!done.insert(scheme.name()).second) continue;
    seconds += seconds_of([&] { quantize_values(scheme, weight, importance, threads, "a made-up matrix"); });
  }
  double weights = 0;
  for (const TensorId& id : model.matrices()) {
    const std::vector<int64_t> s = model.shape(id);
    weights += static_cast<double>(s[0] * s[1]);
  }
  return seconds * weights / static_cast<double>(weight.numel());
}

double diagnosis_seconds(const Model& model, const DiagnoseOptions& options, int64_t windows, int64_t context) {
  const ModelConfig& c = model.config();
  const SweepUnits units = time_sweep(model, options.compute, windows, context);
  double each = 0;  // of a window
  for (const Component& component : components_of(c, options.kinds)) each += component_seconds(component, c, units);
  for (int layer = 0; layer < c.depth(); ++layer) {
    // The base's own layer and scores, and the controls.
    each += units.block + units.scores;
    each += component_seconds({ComponentKind::kHead, layer}, c, units);
    each += component_seconds({ComponentKind::kKvHead, layer}, c, units);
  }
  const std::vector<WeightSlice> first = slices_of(c, {ComponentKind::kLayer, 0});
  for (const Component& control : {Component{ComponentKind::kFfn, 0}, component_of(first.front().tensor),
                                   component_of(first.back().tensor), Component{ComponentKind::kLayer, 0}})
    each += component_seconds(control, c, units);
  each += 2 * component_seconds({ComponentKind::kEmbed}, c, units);  // the base's forward, and everything at once
  const int threads = resolve_threads(options.compute);
  const int64_t rounds = (windows + threads - 1) / threads;
  std::vector<std::string> schemes = options.candidates;
  schemes.push_back(options.scheme);
  return static_cast<double>(rounds) * each + encoding_seconds(model, schemes, threads);
}

}  // namespace vernier
