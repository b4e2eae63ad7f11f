#include "screen/streams.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "engine/fused_model.h"
#include "ops/parallel.h"

namespace vernier {

at::Tensor input_ids(const ScreenWindow& window) {
  const std::vector<int32_t>& tokens = window.window->tokens;
  return at::tensor(std::vector<int64_t>(tokens.begin(), tokens.end() - 1), at::kLong).unsqueeze(0);
}

int stream_interval(int layers, int64_t bytes_of_one, int64_t memory_bytes) {
  int best = 1, least = layers + 1;
  for (int k = 1; k <= layers; ++k) {
    // One of each k, and while the first of a segment is gone back to, those between it and the next.
    const int alive = (layers + k - 1) / k + (k - 1);
    if (alive * bytes_of_one <= memory_bytes) return k;
    if (alive < least) least = alive, best = k;
  }
  return best;
}

namespace {

int64_t longest(const std::vector<ScreenWindow>& windows) {
  int64_t positions = 0;
  for (const ScreenWindow& window : windows) positions = std::max(positions, window.positions());
  return positions;
}

}  // namespace

Streams::Streams(const Model& weights, const AtenModel& model, const std::vector<ScreenWindow>& windows, int threads,
                 int64_t memory_bytes, const LayerTick& tick)
    : weights_(weights),
      model_(model),
      windows_(windows),
      threads_(threads),
      rope_(model.config().rope, model.config().layer(0).attention.head_dim, longest(windows)),
      arenas_(static_cast<size_t>(threads)) {
  const c10::NoGradGuard no_grad;
  const int layers = model.config().depth();
  int64_t bytes = 0;
  for (const ScreenWindow& window : windows)
    bytes += window.positions() * model.config().hidden * static_cast<int64_t>(sizeof(float));
  interval_ = stream_interval(layers, bytes, memory_bytes);
  kept_.resize(static_cast<size_t>(layers));
  Stream stream;
  for (const ScreenWindow& window : windows) stream.push_back(model.embed(input_ids(window)).contiguous());
  for (int layer = 0; layer < layers; ++layer) {
    if (layer % interval_ == 0) kept_[static_cast<size_t>(layer)] = stream;
    run(stream, layer, tick);
  }
  for (size_t w = 0; w < stream.size(); ++w) {
    const int64_t positions = windows[w].positions();
    finals_.push_back(model.finish(model.ops(positions), stream[w], layers, 0).squeeze(0).contiguous());
  }
}

void Streams::run(Stream& stream, int layer, const LayerTick& tick) {
  const FusedBlock block = pack_block(weights_, layer, ComputeType::kFloat32);
  weights_.release_pages();
  const bool last = layer + 1 == model_.config().depth();
  parallel_for(static_cast<int64_t>(stream.size()), threads_, [&](int64_t i, int worker) {
    const c10::NoGradGuard no_grad;
    const auto w = static_cast<size_t>(i);
    stream[w] = run_block_on(block, rope_, arenas_[static_cast<size_t>(worker)], stream[w],
                             last ? windows_[w].window->first_row : 0)
                    .unsqueeze(0);
    if (tick) tick();
  });
}

const std::vector<at::Tensor>& Streams::entering(int layer) {
  const auto place = static_cast<size_t>(layer);
  for (size_t later = place + 1; later < kept_.size(); ++later) kept_[later].clear();
  if (kept_[place].empty()) {
    const int first = layer - layer % interval_;
    Stream stream = kept_[static_cast<size_t>(first)];
    for (int l = first; l < layer; ++l) {
      run(stream, l, {});
      kept_[static_cast<size_t>(l) + 1] = stream;
    }
  }
  return kept_[place];
}

}  // namespace vernier
