#pragma once

// How a text longer than a window is cut, wherever one is measured or learned from.

#include <cstdint>
#include <optional>
#include <vector>

namespace vernier {

/// A document's tokens in pieces of at most `context`, with `bos` in front where there is one. Pieces overlap by one token,
/// so that each but the document's first is predicted exactly once; in its place stands `bos`, as engines begin a text.
/// @return none for a document in which nothing is predicted
std::vector<std::vector<int32_t>> document_pieces(std::vector<int32_t> ids, std::optional<int32_t> bos,
                                                  int64_t context);

}  // namespace vernier
