#include "screen/screen_memory.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/fail.h"
#include "ops/free_memory.h"
#include "screen/gradient_tile.h"
#include "screen/kept_streams.h"

namespace vernier {

namespace {

constexpr int64_t kFloat = sizeof(float);

/// Widths of what a row becomes in a layer.
struct RowWidths {
  int64_t heads = 0, feed_forward = 0;
};

RowWidths widths_of(const LayerConfig& layer) {
  const FeedForwardConfig& ffn = layer.feed_forward;
  const int64_t experts = ffn.experts.count > 0 ? ffn.experts.used : 1;
  return {layer.attention.query_columns() + 2 * layer.attention.kv_columns(),
          experts * ffn.intermediate + ffn.experts.shared_intermediate};
}

/// A tile of the largest matrix' gradient.
int64_t tile_bytes(const ModelConfig& config) {
  int64_t widest = 0;
  for (int l = 0; l < config.depth(); ++l) {
    const LayerConfig& layer = config.layer(l);
    widest = std::max({widest, layer.attention.query_columns(), layer.feed_forward.intermediate,
                       layer.feed_forward.experts.shared_intermediate});
  }
  return std::min(kGradientTile, widest * config.hidden) * kFloat;
}

/// A limit keeps rows besides, in a quarter of the bound.
int64_t without_limit(int64_t bytes, const ScreenOptions& options) { return options.limit ? bytes / 4 * 3 : bytes; }

}  // namespace

int64_t layer_backward_bytes(const ModelConfig& config, int64_t sequences, int64_t positions) {
  int64_t most = 0;
  for (int l = 0; l < config.depth(); ++l) {
    const LayerConfig& layer = config.layer(l);
    const RowWidths row = widths_of(layer);
    const int64_t rows = 16 * config.hidden + 4 * row.heads + 8 * row.feed_forward;
    const int64_t scores = 6 * layer.attention.queries_per_kv() * positions;
    most = std::max(most, sequences * positions * (rows + scores) * kFloat);
  }
  return most + tile_bytes(config);
}

PassSize pass_size(const ModelConfig& config, const std::vector<ScreenWindow>& windows, int64_t batch,
                   int64_t streams) {
  PassSize size{.layers = config.depth(), .windows = static_cast<int64_t>(windows.size())};
  int64_t rows = 0, scored = 0;
  for (const ScreenWindow& window : windows) {
    size.positions = std::max(size.positions, window.positions);
    rows += window.positions;
    scored += window.positions - window.first_row;
  }
  const int64_t width = config.hidden * kFloat;
  size.streams_bytes = rows * width / std::max<int64_t>(size.windows, 1) * streams;
  size.always_bytes = (rows + scored + (config.tied_embedding ? rows : 0)) * width;
  int64_t row = 0;
  for (int l = 0; l < config.depth(); ++l) {
    const RowWidths own = widths_of(config.layer(l));
    row = std::max(row, 4 * config.hidden + 2 * own.heads + 3 * own.feed_forward);
  }
  size.forward_bytes = size.positions * row * kFloat;
  size.tile_bytes = tile_bytes(config);
  size.backward_bytes = layer_backward_bytes(config, batch, size.positions / std::max<int64_t>(batch, 1));
  return size;
}

int64_t least_memory(const PassSize& size, const ScreenOptions& options) {
  const int64_t least = size.always_bytes +
                        streams_alive(size.layers, stream_interval(size.layers, 1, 0)) * size.streams_bytes +
                        size.backward_bytes;
  return options.limit ? (least / 3 + 1) * 4 : least;
}

MemoryShares share_memory(const PassSize& size, const ScreenOptions& options, int threads, ProgressSink* progress) {
  const int64_t useful = std::min<int64_t>(threads, std::max<int64_t>(size.windows, 1));
  const auto at_once = [&](int64_t bytes, int64_t each) {
    return static_cast<int>(std::clamp<int64_t>(bytes / std::max<int64_t>(each, 1), 1, useful));
  };
  MemoryShares shares;
  if (options.memory_bytes == 0) {
    shares.backward = at_once(free_memory() / 2, size.backward_bytes);
    shares.streams_bytes = kScreenStreamBytes;
    shares.tile_bytes = kScreenStreamBytes / 4;
  } else {
    const int64_t least = least_memory(size, options);
    if (options.memory_bytes < least)
      fail(
          ErrorKind::kInvalidArgument,
          "screen: memory: got {} MiB, expected at least {}: {} for the gradients of one sequence of {} positions, the "
          "rest for what enters layers of {} sequences; give it more, or fewer or shorter sequences",
          options.memory_bytes >> 20, (least >> 20) + 1, (size.backward_bytes >> 20) + 1, size.positions, size.windows);
    const int64_t bytes = without_limit(options.memory_bytes, options) - size.always_bytes;
    const int64_t least_streams = least_memory(size, {}) - size.always_bytes - size.backward_bytes;
    shares.backward = at_once(bytes - least_streams, size.backward_bytes);
    shares.streams_bytes = bytes - shares.backward * size.backward_bytes;
    shares.tile_bytes = options.memory_bytes / 4;
  }
  if (progress != nullptr && shares.backward < useful)
    progress->warn(fmt::format("memory for {} of {} sequences at once, {} MiB each: with more it is faster",
                               shares.backward, useful, (size.backward_bytes >> 20) + 1));
  const int64_t on_the_way = shares.backward * size.backward_bytes;
  shares.forward = at_once(on_the_way, size.forward_bytes);
  // Their tiles take the place of the states that gradients were made of.
  shares.products = std::clamp(static_cast<int>(on_the_way / 2 / size.tile_bytes), shares.backward,
                               std::max(threads, shares.backward));
  return shares;
}

}  // namespace vernier
