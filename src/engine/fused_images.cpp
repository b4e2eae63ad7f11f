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

/// Rows that go at once through what looks at each row alone: what is left in between stays in the second-level cache.
constexpr int64_t kBlockRows = 256;

template <class Fn>
void for_row_blocks(Arena& arena, int64_t rows, Fn&& fn) {
  for (int64_t first = 0; first < rows; first += kBlockRows) {
    const Arena::Scope scope(arena);
    fn(first, std::min(kBlockRows, rows - first));
  }
}

/// run_block on all rows of `images` images, in place of x's memory; `alone`: operations of one of them.
Slab run_on_images(FusedOps& ops, FusedOps& alone, const FusedBlock& block, const Slab& x, int64_t images) {
  const LayerConfig& config = block.config;
  const bool by_rows = config.pre_norm && !config.post_norm && !config.parallel &&
                       config.feed_forward.experts.count == 0 && !block.qkv.rounds_rows_together() &&
                       !block.ffn.in.rounds_rows_together() && !block.ffn.down.rounds_rows_together();
  if (!by_rows) return run_block(ops, block, x, 0);
  Arena& arena = ops.arena();
  const Slab qkv = arena.slab(x.rows, block.qkv.out());
  const Slab heads = arena.slab(x.rows, config.attention.query_columns());
  const int64_t each = x.rows / images;
  int64_t attended = 0;
  for_row_blocks(arena, x.rows, [&](int64_t first, int64_t rows) {
    block.qkv.apply(ops.norm(block.attn_norm, x.row_range(first, rows)), qkv.row_range(first, rows),
                    /*accumulate=*/false, arena);
    for (; (attended + 1) * each <= first + rows; ++attended) {  // images whose rows have all been there just now
      const Arena::Scope scope(arena);
      const Slab own = alone.attend(block, qkv.row_range(attended * each, each), 0);
      std::memcpy(heads.row(attended * each), own.data, static_cast<size_t>(each * own.cols) * sizeof(float));
    }
  });
  ops.linear_add(block.attn_output, heads, x);
  for_row_blocks(arena, x.rows, [&](int64_t first, int64_t rows) { run_ffn(ops, block, x.row_range(first, rows)); });
  return x;
}

void make_unit(const Slab& x) {
  double squares = 0;
  for (int64_t i = 0; i < x.cols; ++i) squares += static_cast<double>(x.row(0)[i]) * x.row(0)[i];
  scale_row(x.row(0), x.cols, static_cast<float>(1 / std::sqrt(squares)));
}

}  // namespace

Slab FusedModel::embed_image_by(const StackedLinear& embedding, FusedOps& ops, std::span<const float> pixels) const {
  const PatchConfig& p = config_.patches;
  const Slab squares = cut_into_patches(ops.arena(), p, pixels);
  ops.observe({Site::kPatchInput}, squares);
  const Slab x = ops.arena().slab(p.rows(), config_.hidden), patches = x.row_range(0, p.count());
  embedding.apply(squares, patches, /*accumulate=*/false, ops.arena());
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

Slab FusedModel::read_out_by(const StackedLinear& head, const StackedLinear& distilled_head, FusedOps& ops,
                             const Slab& normed) const {
  Arena& arena = ops.arena();
  const Slab answering = normed.row_range(0, 1), out = arena.slab(1, head.out());
  ops.observe({Site::kOutputInput}, answering);
  logits_by(head, arena, answering, out);
  if (config_.read_out.projection > 0) make_unit(out);
  if (!config_.read_out.distilled) return out;
  const Slab distilled = normed.row_range(1, 1), second = arena.slab(1, out.cols);
  ops.observe({Site::kDistilledInput}, distilled);
  logits_by(distilled_head, arena, distilled, second);
  add_row(second.row(0), out.row(0), out.cols);
  scale_row(out.row(0), out.cols, 0.5f);
  return out;
}

Slab FusedModel::embed_input(FusedOps& ops, const ModelInput& input) const {
  check_input(config_, input, name_);
  if (config_.reads_images()) return embed_image(ops, input.pixels);
  return embed(ops.arena(), read_tokens(config_, input));
}

Slab FusedModel::answer(Arena& arena, const ModelInput& input, AnswerRows rows, const SiteObserver* observer,
                        bool watches) const {
  FusedOps ops(arena, rope_, observer, watches);
  const Slab stream = embed_input(ops, input);
  if (watches) ops.observe({Site::kResidual}, stream);
  const int64_t first = answering_rows(config_, stream.rows), kept = rows == AnswerRows::kAll ? 0 : first;
  return read_out(ops, norm_last(ops, run_layers(ops, stream, 0, kept).rows_from(first - kept)));
}

std::vector<std::vector<float>> FusedModel::answers(Arena& arena, std::span<const ModelInput> images) const {
  const auto count = static_cast<int64_t>(images.size());
  const int64_t rows = config_.patches.rows(), first = answering_rows(config_, rows), kept = rows - first;
  Slab x = arena.slab(count * rows, config_.hidden);
  FusedOps alone(arena, rope_);
  for (int64_t i = 0; i < count; ++i) {
    const Arena::Scope scope(arena);
    const Slab own = embed_input(alone, images[static_cast<size_t>(i)]);
    for (int64_t r = 0; r < rows; ++r)
      std::memcpy(x.row(i * rows + r), own.row(r), static_cast<size_t>(x.cols) * sizeof(float));
  }
  FusedOps ops(arena, rope_, nullptr, /*watches=*/false, count);
  for (int layer = 0; layer + 1 < config_.depth(); ++layer) {
    const Arena::Scope scope(arena);
    x = run_on_images(ops, alone, block(layer), x, count);
  }
  // The last layer's rows are a slab of their own, so that it needs its memory to the end.
  const Slab normed = norm_last(ops, run_block(ops, block(config_.depth() - 1), x, first));
  std::vector<std::vector<float>> result;
  for (int64_t i = 0; i < count; ++i) {
    const Slab out = read_out(ops, normed.row_range(i * kept, kept));
    result.emplace_back(out.row(0), out.row(0) + out.cols);
  }
  return result;
}

}  // namespace vernier
