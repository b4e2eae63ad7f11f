#include "data/document_pieces.h"

#include <algorithm>

namespace vernier {

std::vector<std::vector<int32_t>> document_pieces(std::vector<int32_t> ids, std::optional<int32_t> bos,
                                                  int64_t context) {
  if (bos) ids.insert(ids.begin(), *bos);
  std::vector<std::vector<int32_t>> pieces;
  const auto step = static_cast<size_t>(context - 1);
  for (size_t begin = 0; begin + 1 < ids.size(); begin += step) {
    const size_t end = std::min(ids.size(), begin + step + 1);
    pieces.emplace_back(ids.begin() + static_cast<int64_t>(begin), ids.begin() + static_cast<int64_t>(end));
    if (bos) pieces.back()[0] = *bos;
  }
  return pieces;
}

}  // namespace vernier
