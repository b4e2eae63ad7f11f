#pragma once

// The residual streams between the layers of a stack: kept from the forward pass for the backward one, all of them or,
// where memory is short, those in front of every k-th layer, from which the others are made again.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

namespace vernier {

/// Of every sequence.
using StreamsAt = std::vector<at::Tensor>;

/// How many are alive at once where those in front of every k-th layer are kept: they, and while the first of a segment is
/// gone back to, those between it and the next.
int streams_alive(int layers, int interval);
/// Every how many layers streams are kept so that no more than `memory_bytes` of them are alive at once; of what cannot
/// be met, the least.
int stream_interval(int layers, int64_t bytes_of_one, int64_t memory_bytes);

class KeptStreams {
 public:
  /// Takes streams through a layer; `first` where that is the forward pass itself.
  using RunLayer = std::function<void(StreamsAt& streams, int layer, bool first)>;
  /// The forward pass, which is run at once. @param entering the first layer
  KeptStreams(StreamsAt entering, int layers, int64_t memory_bytes, RunLayer run);

  /// What left the last layer; the caller's to take.
  StreamsAt& leaving() { return leaving_; }
  /// What entered a layer. Layers are asked for from the last to the first; what entered those after it is forgotten.
  const StreamsAt& entering(int layer);

 private:
  RunLayer run_;
  int interval_;
  std::vector<StreamsAt> kept_;  // by layer, empty where none is
  StreamsAt leaving_;
};

}  // namespace vernier
