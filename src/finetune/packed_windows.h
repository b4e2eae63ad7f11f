#pragma once

// Pieces of text put together into windows, so that little of a batch is padding: nothing of much text of all lengths, and
// most where all pieces are just longer than half a window, of which no two fit.

#include <cstddef>
#include <span>
#include <vector>

namespace vernier {

/// Which pieces share a window of `capacity` tokens: the longest first, each into the fullest window that still has room
/// for it (best fit). @return windows in order of their first pieces, pieces in their own order
std::vector<std::vector<size_t>> packed_windows(std::span<const size_t> lengths, size_t capacity);

}  // namespace vernier
