#pragma once

// Images a little to the side, as in a mirror, with a part of another one, or with patches left out: more to learn from than
// the files hold.

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace vernier {

/// How far, drawn anew for every image that a step learns from.
struct ImageMoves {
  int64_t shift = 0;  ///< at most so many pixels in each direction; what comes in at the edge repeats it
  bool mirror = false;
};

/// @shape pixels [images, channels, side, side]; the n-th is draw number first_draw + n, on which alone its move depends
at::Tensor moved_images(const at::Tensor& pixels, const ImageMoves& moves, uint64_t seed, int64_t first_draw);

/// Into a share of the images a rectangle of the next one of the batch is pasted (the first follows the last), of a size
/// and at a place drawn anew: CutMix (arXiv 1905.04899) without its labels, for whoever learns from a teacher's answers. A
/// teacher that has its training images by heart has not seen these.
at::Tensor cutmix_images(const at::Tensor& pixels, double share, uint64_t seed, int64_t first_draw);

/// Which of `count` patches each image keeps where a share is left out (patch dropout, arXiv 2208.07220), one at least:
/// another choice for every draw. @return int64 [images, kept] on the CPU, ascending
at::Tensor kept_patches(int64_t images, int64_t count, double dropped, uint64_t seed, int64_t first_draw);

}  // namespace vernier
