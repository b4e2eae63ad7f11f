#include "screen/kept_streams.h"

#include <utility>

namespace vernier {

int streams_alive(int layers, int interval) { return (layers + interval - 1) / interval + (interval - 1); }

int stream_interval(int layers, int64_t bytes_of_one, int64_t memory_bytes) {
  int best = 1, least = layers + 1;
  for (int k = 1; k <= layers; ++k) {
    const int alive = streams_alive(layers, k);
    if (alive * bytes_of_one <= memory_bytes) return k;
    if (alive < least) least = alive, best = k;
  }
  return best;
}

namespace {

int64_t bytes_of(const StreamsAt& streams) {
  int64_t bytes = 0;
  for (const at::Tensor& stream : streams) bytes += stream.numel() * static_cast<int64_t>(stream.element_size());
  return bytes;
}

}  // namespace

KeptStreams::KeptStreams(StreamsAt entering, int layers, int64_t memory_bytes, RunLayer run)
    : run_(std::move(run)),
      interval_(stream_interval(layers, bytes_of(entering), memory_bytes)),
      kept_(static_cast<size_t>(layers)),
      leaving_(std::move(entering)) {
  for (int layer = 0; layer < layers; ++layer) {
    if (layer % interval_ == 0) kept_[static_cast<size_t>(layer)] = leaving_;
    run_(leaving_, layer, true);
  }
}

const StreamsAt& KeptStreams::entering(int layer) {
  const auto place = static_cast<size_t>(layer);
  for (size_t later = place + 1; later < kept_.size(); ++later) kept_[later].clear();
  if (kept_[place].empty()) {
    const int first = layer - layer % interval_;
    StreamsAt stream = kept_[static_cast<size_t>(first)];
    for (int l = first; l < layer; ++l) {
      run_(stream, l, false);
      kept_[static_cast<size_t>(l) + 1] = stream;
    }
  }
  return kept_[place];
}

}  // namespace vernier
