#pragma once

// The residual streams of all sequences of a language model between its layers, by the fused engine, a layer at a time:
// nothing is differentiated here.

#include <ATen/core/Tensor.h>

#include <functional>
#include <optional>
#include <vector>

#include "engine/aten_model.h"
#include "ops/rope.h"
#include "screen/kept_streams.h"
#include "screen/screen_memory.h"
#include "screen/screen_sums.h"

namespace vernier {

/// Called after every layer of a sequence; from any thread, several at once.
using LayerTick = std::function<void()>;

/// ids of what the model reads, int64 [1, positions]
at::Tensor input_ids(const ScreenWindow& window);

class Streams {
 public:
  /// Runs the forward pass. All must outlive it.
  Streams(const Model& weights, const AtenModel& model, const std::vector<ScreenWindow>& windows,
          const MemoryShares& memory, const LayerTick& tick);

  Streams(const Streams&) = delete;  // what runs a layer knows where this is
  Streams& operator=(const Streams&) = delete;

  /// Normed states that the output matrix multiplies, by window [scored, hidden].
  const std::vector<at::Tensor>& finals() const { return finals_; }
  /// What entered a layer, by window [1, positions, hidden]. @see KeptStreams
  const std::vector<at::Tensor>& entering(int layer) { return kept_->entering(layer); }

 private:
  void run(StreamsAt& stream, int layer, const LayerTick& tick);

  const Model& weights_;
  const AtenModel& model_;
  const std::vector<ScreenWindow>& windows_;
  int threads_;
  RopeTables rope_;
  std::optional<KeptStreams> kept_;
  StreamsAt finals_;
};

}  // namespace vernier
