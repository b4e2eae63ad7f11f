#include "finetune/moved_images.h"

#include <ATen/ATen.h>

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

}  // namespace vernier
