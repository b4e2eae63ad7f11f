#pragma once

// The isolated sweep on the CPU. Layer by layer: the base stream entering the layer is kept for every window; a
// component's own contribution is recomputed with its perturbed weights, added to the base stream as a difference, and
// only what comes after runs again. No full forward per component and no stored logits.
//
// A perturbation by nothing takes the same path with the same shapes, so its damage is exactly 0.

#include <functional>
#include <vector>

#include "engine/engine.h"
#include "engine/fused_model.h"
#include "vernier/component.h"
#include "vernier/data.h"
#include "vernier/model.h"
#include "vernier/progress.h"

namespace vernier {

class FusedSweep : public Sweep {
 public:
  /// `data` and `model` must outlive the sweep. @cost one forward pass, and a stream per window in memory
  FusedSweep(const Model& model, const EvaluationData& data, ComputeType type, int threads);

  std::vector<std::vector<DamageSums>> layer(int layer, const std::vector<Perturbation>& perturbations,
                                             const std::function<void()>& on_window) override;
  std::vector<DamageSums> embedding(const Perturbation& perturbation) override;
  std::vector<DamageSums> whole_model(const Model& other) override;
  at::Tensor base_logits(size_t window) override;

 private:
  struct Variant;
  struct LayerBase;
  Variant prepare(const Perturbation& perturbation) const;
  Slab run_variant(FusedOps& ops, const Variant& variant, const LayerBase& base, int64_t first_row) const;
  Slab run_head(FusedOps& ops, const Variant& variant, const LayerBase& base, int64_t first_row) const;
  Slab run_kv_head(FusedOps& ops, const Variant& variant, const LayerBase& base, int64_t first_row) const;
  Slab finish(FusedOps& ops, const FusedBlock& block, const Slab& after_attention, int64_t first_row) const;
  Slab finish_layers(FusedOps& ops, Slab stream, int next_layer, int64_t first_row) const;
  /// hidden [variants][scored, hidden], contiguous, against the base, tile by tile; `head` makes their logits.
  std::vector<DamageSums> compare(Arena& arena, size_t window, const std::vector<Slab>& hidden,
                                  const StackedLinear& head) const;
  Slab stored(Arena& arena, const std::vector<float>& rows) const;
  template <class Fn>
  std::vector<DamageSums> for_windows(const StackedLinear& head, Fn&& hidden_of);

  const Model& model_;
  const EvaluationData& data_;
  int threads_;
  FusedModel base_;
  std::vector<Arena> arenas_;
  std::vector<std::vector<float>> streams_;  ///< per window: residual entering layer_, [T, hidden]
  std::vector<std::vector<float>> finals_;   ///< per window: the base's normed final states, [scored, hidden]
  int layer_ = 0;
};

}  // namespace vernier
