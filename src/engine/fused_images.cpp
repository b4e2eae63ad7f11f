// Images in the fused engine: patches in, one answer out.

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/fused_model.h"
#include "ops/kernels.h"

namespace vernier {

namespace {

/// Squares of an image [channels, side, side], row by row from the upper left: [count, channels * patch * patch].
Slab cut_into_patches(Arena& arena, const PatchConfig& p, std::span<const float> pixels) {
  const Slab squares = arena.slab(p.count(), p.columns());
  for (int64_t square = 0; square < p.count(); ++square) {
    const int64_t top = square / p.per_side() * p.patch_size, left = square % p.per_side() * p.patch_size;
    float* out = squares.row(square);
    for (int64_t c = 0; c < p.channels; ++c)
      for (int64_t y = 0; y < p.patch_size; ++y, out += p.patch_size)
        std::memcpy(out, pixels.data() + (c * p.image_size + top + y) * p.image_size + left,
                    static_cast<size_t>(p.patch_size) * sizeof(float));
  }
  return squares;
}

void make_unit(const Slab& x) {
  double squares = 0;
  for (int64_t i = 0; i < x.cols; ++i) squares += static_cast<double>(x.row(0)[i]) * x.row(0)[i];
  scale_row(x.row(0), x.cols, static_cast<float>(1 / std::sqrt(squares)));
}

}  // namespace

Slab FusedModel::embed_image(FusedOps& ops, std::span<const float> pixels) const {
  const PatchConfig& p = config_.patches;
  const Slab squares = cut_into_patches(ops.arena(), p, pixels);
  ops.observe({Site::kPatchInput}, squares);
  const Slab x = ops.arena().slab(p.rows(), config_.hidden), patches = x.row_range(0, p.count());
  patches_.apply(squares, patches, /*accumulate=*/false, ops.arena());
  // Where a product pads its rows it wrote over those that follow.
  for (int64_t r = 0; r < p.learned_rows(); ++r)
    std::copy_n(learned_.data_ptr<float>() + r * x.cols, x.cols, x.row(p.count() + r));
  const auto add_position = [&](int64_t position, int64_t row) {
    add_row(positions_.data_ptr<float>() + position * x.cols, x.row(row), x.cols);
  };
  for (int64_t r = 0; r < p.learned_rows(); ++r) add_position(r, p.count() + r);
  for (int64_t r = 0; r < p.count(); ++r) add_position(p.learned_rows() + r, r);
  return config_.input_norm ? ops.norm(input_norm_, x) : x;
}

Slab FusedModel::answer(Arena& arena, const ModelInput& input, const SiteObserver* observer) const {
  check_input(config_, input, name_);
  FusedOps ops(arena, rope_, observer);
  const bool sees = config_.reads_images();
  // A text's rows after the answering one change nothing, its stack being causal; an image's learned rows are the last.
  const int64_t row = sees ? config_.patches.count() : answering_row(config_, input.tokens);
  const Slab stream =
      sees ? embed_image(ops, input.pixels) : embed(arena, input.tokens.first(static_cast<size_t>(row) + 1));
  const Slab normed = norm_last(ops, run_layers(ops, stream, 0, row));
  const Slab answering = normed.row_range(0, 1);
  ops.observe({Site::kOutputInput}, answering);
  const Slab out = logits(arena, answering);
  if (config_.read_out.projection > 0) make_unit(out);
  if (!config_.read_out.distilled) return out;
  const Slab distilled = normed.row_range(1, 1), second = arena.slab(1, out.cols);
  ops.observe({Site::kDistilledInput}, distilled);
  logits_by(distilled_head_, arena, distilled, second);
  add_row(second.row(0), out.row(0), out.cols);
  scale_row(out.row(0), out.cols, 0.5f);
  return out;
}

}  // namespace vernier
