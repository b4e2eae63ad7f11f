#include "finetune/packed_windows.h"

#include <algorithm>
#include <numeric>

namespace vernier {

std::vector<std::vector<size_t>> packed_windows(std::span<const size_t> lengths, size_t capacity) {
  std::vector<size_t> order(lengths.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, [&](size_t a, size_t b) { return lengths[a] > lengths[b]; });
  std::vector<std::vector<size_t>> windows;
  std::vector<std::vector<size_t>> with_room(capacity + 1);  // windows by the tokens that still fit
  for (const size_t piece : order) {
    const size_t length = std::min(lengths[piece], capacity);
    size_t room = length;
    while (room <= capacity && with_room[room].empty()) ++room;
    if (room > capacity) {
      room = capacity;
      with_room[room].push_back(windows.size());
      windows.emplace_back();
    }
    const size_t window = with_room[room].back();
    with_room[room].pop_back();
    windows[window].push_back(piece);
    with_room[room - length].push_back(window);
  }
  for (std::vector<size_t>& window : windows) std::ranges::sort(window);
  std::ranges::sort(windows);
  return windows;
}

}  // namespace vernier
