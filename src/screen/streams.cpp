#include "screen/streams.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "engine/fused_model.h"
#include "ops/arena.h"
#include "ops/parallel.h"

namespace vernier {

at::Tensor input_ids(const ScreenWindow& window) {
  const std::vector<int32_t>& tokens = window.window->tokens;
  return at::tensor(std::vector<int64_t>(tokens.begin(), tokens.end() - 1), at::kLong).unsqueeze(0);
}

namespace {

int64_t longest(const std::vector<ScreenWindow>& windows) {
  int64_t positions = 0;
  for (const ScreenWindow& window : windows) positions = std::max(positions, window.positions);
  return positions;
}

}  // namespace

Streams::Streams(const Model& weights, const AtenModel& model, const std::vector<ScreenWindow>& windows,
                 const MemoryShares& memory, const LayerTick& tick)
    : weights_(weights),
      model_(model),
      windows_(windows),
      threads_(memory.forward),
      rope_(model.config().rope, model.config().window_rope, model.config().layer(0).attention.head_dim,
            longest(windows)) {
  const c10::NoGradGuard no_grad;
  StreamsAt entering;
  for (const ScreenWindow& window : windows) entering.push_back(model.embed(input_ids(window)).contiguous());
  const int layers = model.config().depth();
  kept_.emplace(
      std::move(entering), layers, memory.streams_bytes,
      [this, tick](StreamsAt& stream, int layer, bool first) { run(stream, layer, first ? tick : LayerTick()); });
  for (size_t w = 0; w < windows.size(); ++w)
    finals_.push_back(
        model.finish(model.ops(windows[w].positions), kept_->leaving()[w], layers, 0).squeeze(0).contiguous());
  kept_->leaving().clear();
}

void Streams::run(StreamsAt& stream, int layer, const LayerTick& tick) {
  const FusedBlock block = pack_block(weights_, layer, ComputeType::kFloat32);
  weights_.release_pages();
  const bool last = layer + 1 == model_.config().depth();
  std::vector<Arena> arenas(static_cast<size_t>(threads_));  // gone before anything is differentiated
  parallel_for(static_cast<int64_t>(stream.size()), threads_, [&](int64_t i, int worker) {
    const c10::NoGradGuard no_grad;
    const auto w = static_cast<size_t>(i);
    stream[w] =
        run_block_on(block, rope_, arenas[static_cast<size_t>(worker)], stream[w], last ? windows_[w].first_row : 0)
            .unsqueeze(0);
    if (tick) tick();
  });
}

}  // namespace vernier
