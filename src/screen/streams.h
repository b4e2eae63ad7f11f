#pragma once

// The residual streams of all sequences between the layers: kept from the forward pass for the backward one, all of them
// or, where memory is short, those in front of every k-th layer, from which the others are made again. By the fused engine, a layer at a time: nothing is differentiated here.

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

#include "engine/aten_model.h"
#include "ops/arena.h"
#include "ops/rope.h"
#include "screen/screen_sums.h"

namespace vernier {

/// Called after every layer of a sequence; from any thread, several at once.
using LayerTick = std::function<void()>;

/// ids of what the model reads, int64 [1, positions]
at::Tensor input_ids(const ScreenWindow& window);

/// Every how many layers streams are kept so that no more than `memory_bytes` of them are alive at once; of what cannot
/// be met, the least.
int stream_interval(int layers, int64_t bytes_of_one, int64_t memory_bytes);

class Streams {
 public:
  /// Runs the forward pass. All must outlive it.
  Streams(const Model& weights, const AtenModel& model, const std::vector<ScreenWindow>& windows, int threads,
          int64_t memory_bytes, const LayerTick& tick);

  /// Normed states that the output matrix multiplies, by window [scored, hidden].
  const std::vector<at::Tensor>& finals() const { return finals_; }
  /// What entered a layer, by window [1, positions, hidden]. Layers are asked for from the last to the first; what entered
  /// those after it is forgotten.
  const std::vector<at::Tensor>& entering(int layer);

 private:
  using Stream = std::vector<at::Tensor>;
  void run(Stream& stream, int layer, const LayerTick& tick);

  const Model& weights_;
  const AtenModel& model_;
  const std::vector<ScreenWindow>& windows_;
  int threads_, interval_;
  std::vector<Stream> kept_;  // by layer, empty where none is
  Stream finals_;
  RopeTable rope_;
  std::vector<Arena> arenas_;
};

}  // namespace vernier
