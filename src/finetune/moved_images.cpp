#include "finetune/moved_images.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>
#include <vector>

#include "base/counter_random.h"

namespace vernier {

at::Tensor moved_images(const at::Tensor& pixels, const ImageMoves& moves, uint64_t seed, int64_t first_draw) {
  const int64_t shift = moves.shift, span = 2 * shift + 1;
  const at::Tensor wide = shift > 0 ? at::replication_pad2d(pixels, {shift, shift, shift, shift}) : pixels;
  std::vector<at::Tensor> moved;
  for (int64_t i = 0; i < pixels.size(0); ++i) {
    const uint64_t own = random_bits(seed, static_cast<uint64_t>(first_draw + i));
    const at::Tensor seen = wide[i]
                                .narrow(1, random_below(own, 0, span), pixels.size(2))
                                .narrow(2, random_below(own, 1, span), pixels.size(3));
    moved.push_back(moves.mirror && random_below(own, 2, 2) == 1 ? seen.flip({-1}) : seen);
  }
  return at::stack(moved);
}

at::Tensor cutmix_images(const at::Tensor& pixels, double share, uint64_t seed, int64_t first_draw) {
  at::Tensor mixed = pixels.clone();
  const int64_t count = pixels.size(0), height = pixels.size(2), width = pixels.size(3);
  for (int64_t i = 0; i < count; ++i) {
    const uint64_t own = random_bits(seed, static_cast<uint64_t>(first_draw + i));
    if (random_share(own, 0) >= share) continue;
    // The rectangle's share of the image is uniform, cut at the edges, as in the paper.
    const double side = std::sqrt(random_share(own, 1));
    const auto placed = [&](int64_t length, uint64_t place) {
      const auto half = static_cast<int64_t>(side * static_cast<double>(length) / 2);
      const int64_t middle = random_below(own, place, length);
      const int64_t first = std::max<int64_t>(0, middle - half);
      return std::pair{first, std::min(length, middle + half) - first};
    };
    const auto [top, rows] = placed(height, 2);
    const auto [left, columns] = placed(width, 3);
    const auto part = [top = top, rows = rows, left = left, columns = columns](const at::Tensor& image) {
      return image.narrow(1, top, rows).narrow(2, left, columns);
    };
    part(mixed[i]).copy_(part(pixels[(i + 1) % count]));
  }
  return mixed;
}

at::Tensor kept_patches(int64_t images, int64_t count, double dropped, uint64_t seed, int64_t first_draw) {
  const int64_t kept = std::max<int64_t>(1, std::llround((1 - dropped) * static_cast<double>(count)));
  at::Tensor all = at::empty({images, kept}, at::kLong);
  int64_t* out = all.data_ptr<int64_t>();
  std::vector<int64_t> order(static_cast<size_t>(count));
  for (int64_t i = 0; i < images; ++i, out += kept) {
    const uint64_t own = random_bits(seed, static_cast<uint64_t>(first_draw + i));
    std::iota(order.begin(), order.end(), 0);
    for (int64_t k = 0; k < kept; ++k)
      std::swap(order[static_cast<size_t>(k)],
                order[static_cast<size_t>(k + random_below(own, static_cast<uint64_t>(k), count - k))]);
    std::copy_n(order.begin(), kept, out);
    std::sort(out, out + kept);
  }
  return all;
}

}  // namespace vernier
