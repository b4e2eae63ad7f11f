#pragma once

// The part of an isolated sweep on the CPU that does not ask what a model answers. Layer by layer: the base stream
// entering the layer is kept for every input; a component's own contribution is recomputed with its perturbed weights,
// added to the base stream as a difference, and only what comes after runs again. No full forward per component.
//
// A perturbation by nothing takes the same path with the same shapes, so what it gives is the base's, bit for bit.

#include <functional>
#include <vector>

#include "engine/engine.h"
#include "engine/fused_model.h"
#include "ops/parallel.h"
#include "vernier/component.h"
#include "vernier/model.h"

namespace vernier {

class SuffixSweep {
 public:
  /// One input's normed states after the last layer, one per perturbation, each contiguous [rows, hidden].
  using Visit = std::function<void(Arena& arena, size_t input, const std::vector<Slab>& hidden)>;

  /// `model` must outlive it. `first_rows`: of each input, from where on its rows are read after the last layer.
  SuffixSweep(const Model& model, ComputeType type, int64_t positions, int threads, std::vector<int64_t> first_rows);

  const FusedModel& base() const { return base_; }
  /// Of the first worker, for what is asked outside of the loops.
  Arena& arena() { return arenas_.front(); }

  /// Keeps the stream of every input as it enters the first layer. @cost a stream per input in memory
  void enter(const std::function<Slab(FusedOps& ops, size_t input)>& embed);
  /// The base's stream that enters the next layer, copied.
  Slab stream(Arena& arena, size_t input) const;
  /// Rows as wide as the stream.
  Slab slab_of(Arena& arena, const std::vector<float>& rows) const;
  /// Perturbations of one layer, of every input; layers in their order. `on_input` is called after each input, from any
  /// thread and several at once; what it throws ends the sweep.
  void layer(int layer, const std::vector<Perturbation>& perturbations, const Visit& visit,
             const std::function<void()>& on_input);
  /// Layers next_layer ... on a stream, and the output norm.
  Slab finish_layers(FusedOps& ops, Slab stream, int next_layer, int64_t first_row) const;

  /// fn(arena, input) for every input, on all threads.
  template <class Fn>
  void for_inputs(Fn&& fn) {
    parallel_for(static_cast<int64_t>(first_rows_.size()), static_cast<int>(arenas_.size()),
                 [&](int64_t input, int worker) {
                   Arena& arena = arenas_[static_cast<size_t>(worker)];
                   const Arena::Scope scope(arena);
                   fn(arena, static_cast<size_t>(input));
                 });
  }

 private:
  struct Variant;
  struct LayerBase;
  Variant prepare(const Perturbation& perturbation) const;
  Slab run_variant(FusedOps& ops, const Variant& variant, const LayerBase& base, int64_t first_row) const;
  Slab run_head(FusedOps& ops, const Variant& variant, const LayerBase& base, int64_t first_row) const;
  Slab run_kv_head(FusedOps& ops, const Variant& variant, const LayerBase& base, int64_t first_row) const;
  Slab finish(FusedOps& ops, const FusedBlock& block, const Slab& after_attention, int64_t first_row) const;

  const Model& model_;
  FusedModel base_;
  std::vector<Arena> arenas_;  ///< one per thread
  std::vector<int64_t> first_rows_;
  std::vector<std::vector<float>> streams_;  ///< per input: residual entering layer_, [T, hidden]
  int layer_ = 0;
};

/// A copy that outlives the arena. [rows * cols]
std::vector<float> keep_rows(const Slab& x);

}  // namespace vernier
