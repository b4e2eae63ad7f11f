#pragma once

// How a bound on memory is shared between the streams that a pass over the layers keeps and the sequences that are on
// their way at once. Figures do not depend on it.

#include <cstdint>
#include <vector>

#include "screen/screen_sums.h"
#include "vernier/screen.h"

namespace vernier {

/// Of a layer, while sequences of one length go through it and are differentiated together: activations, their gradients,
/// the scores of the heads that share a key/value head, and a tile of a matrix' gradient.
int64_t layer_backward_bytes(const ModelConfig& config, int64_t sequences, int64_t positions);

/// What a pass over the layers of a stack takes.
struct PassSize {
  int layers = 0;
  int64_t windows = 0;        ///< differentiated one by one
  int64_t positions = 0;      ///< of the longest
  int64_t streams_bytes = 0;  ///< of all windows, in front of one layer
  int64_t always_bytes = 0;   ///< gradients by the streams, the last states, and of tied embeddings those by their rows
  int64_t forward_bytes = 0;  ///< of a window on its way through a layer
  int64_t backward_bytes = 0;  ///< the same, differentiated: layer_backward_bytes
  int64_t tile_bytes = 0;      ///< of that, the gradient of a tile of a matrix
};

/// @param batch sequences that make up a window @param streams windows whose streams differ
PassSize pass_size(const ModelConfig& config, const std::vector<ScreenWindow>& windows, int64_t batch, int64_t streams);

/// The smallest bound that share_memory takes: one window, and of the streams those that a backward pass cannot do without.
int64_t least_memory(const PassSize& size, const ScreenOptions& options);

struct MemoryShares {
  int forward = 1, backward = 1;  ///< windows at once
  int products = 1;               ///< threads that multiply gradients by errors: those that differentiate nothing help
  int64_t streams_bytes = 0;      ///< for the streams between layers
  int64_t tile_bytes = 0;         ///< for a tile of the vocabulary, or a limit's rows: while nothing is differentiated
};

/// As many windows at once as there are threads, if they fit beside the least streams, then as many streams as fit: making
/// those again costs a forward pass at most, an idle thread its part of everything.
/// `progress` is warned where memory keeps threads from differentiating. @throws Error{kInvalidArgument} below least_memory
MemoryShares share_memory(const PassSize& size, const ScreenOptions& options, int threads, ProgressSink* progress);

}  // namespace vernier
