#include "quantize/trained_matrix.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cstring>

#include "base/fail.h"
#include "ops/parallel.h"
#include "ops/straight_through.h"
#include "scheme/half_float.h"

namespace vernier {

namespace {

constexpr float kBeyondAnyLevel = 1e30f;
/// Share of weights at their nearest level above which nothing but rounding found them: feedback leaves some nine in ten there.
constexpr float kNearestWhereRounded = 0.99f;
/// Levels of the codes that the format takes, found by asking it for the outermost ones.
struct Levels {
  RoundingGrid grid;
  Code lowest_code = 0;
  double least = 0, most = 0;  // half a gap beyond the outermost
};

Levels levels_of(const Grid& grid, const at::TensorOptions& options) {
  Code ends[2];
  const float beyond[2] = {-kBeyondAnyLevel, kBeyondAnyLevel};
  grid.nearest({}, beyond, 2, ends);
  std::vector<float> levels, boundaries;
  bool one_apart = true;
  for (Code code = ends[0]; code <= ends[1]; ++code) {
    levels.push_back(grid.level(code));
    if (levels.size() == 1) continue;
    const float before = levels[levels.size() - 2];
    boundaries.push_back((before + levels.back()) / 2);
    one_apart = one_apart && levels.back() - before == 1.0f;
  }
  Levels found{.grid = {}, .lowest_code = ends[0], .least = levels.front(), .most = levels.back()};
  if (!boundaries.empty()) {
    found.least -= static_cast<double>(boundaries.front()) - found.least;
    found.most += found.most - static_cast<double>(boundaries.back());
  }
  RoundingGrid& rounding = found.grid;
  rounding.lowest = static_cast<double>(levels.front());
  rounding.highest = static_cast<double>(levels.back());
  rounding.levels = at::tensor(levels, at::kFloat).to(options);
  if (!one_apart) rounding.boundaries = at::tensor(boundaries, at::kFloat).to(options);
  return found;
}

std::optional<at::ScalarType> plain_type(const Scheme& scheme, int64_t rows, int64_t cols) {
  if (!scheme.held_by(Container::kPlainTensors)) return std::nullopt;
  const std::string_view type = scheme.parts(rows, cols).front().type;
  return type == "F16" ? at::kHalf : type == "BF16" ? at::kBFloat16 : at::kFloat;
}

/// To the nearest finite number of the type.
at::Tensor values_as(const at::Tensor& latent, at::ScalarType type) {
  const auto largest =
      type == at::kHalf ? static_cast<double>(kMaxHalf) : static_cast<double>(bf16_to_float(kMaxBf16Bits));
  const at::Tensor x = type == at::kFloat ? latent : latent.clamp(-largest, largest);
  return x.to(type).to(latent.scalar_type());
}

int64_t rows_of(const std::vector<TrainedMatrix::Rows>& parts) {
  int64_t rows = 0;
  for (const TrainedMatrix::Rows& part : parts) rows += part.count;
  return rows;
}

/// In the same memory once there is some: recorded work of a GPU reads it there.
void keep_in(at::Tensor& memory, const at::Tensor& values) {
  if (memory.defined())
    memory.copy_(values);
  else
    memory = values;
}

/// A codebook's levels do not end where a gradient of LSQ would.
bool can_learn(const Grid& grid, ScalesLearn how) {
  return has_learnable_steps(grid) && (grid.joint_cols == 1 || how == ScalesLearn::kInPlace);
}

at::Tensor on_cpu(const at::Tensor& t) { return t.detach().to(at::kCPU, at::kFloat).contiguous(); }

}  // namespace

TrainedMatrix::TrainedMatrix(const Scheme& scheme, const std::vector<Rows>& parts, int64_t cols,
                             const at::Device& device, ScalesLearn scales)
    : scheme_(scheme),
      grid_(grid_of(scheme, rows_of(parts), cols)),
      plain_(plain_type(scheme, grid_->rows, cols)),
      device_(device),
      scales_learn_(can_learn(*grid_, scales) ? scales : ScalesLearn::kNot),
      stored_(plain_ ? 0 : scheme.bytes(grid_->rows, cols)) {
  int64_t end = 0;
  for (const Rows& part : parts) {
    weights_.push_back({end, end + part.count, column_weights(part.importance, cols)});
    end += part.count;
  }
  if (plain_) return;
  if (is_joint()) {
    joint_.emplace(*grid_->codebook(), device);
    for (Weights& part : weights_) part.placed = at::tensor(part.of_columns, at::kFloat).to(device);
    return;
  }
  const Levels levels = levels_of(*grid_, at::TensorOptions(device).dtype(at::kFloat));
  rounding_ = levels.grid;
  lowest_code_ = levels.lowest_code;
  least_ = levels.least;
  most_ = levels.most;
}

bool TrainedMatrix::can_be_stacked(const Scheme& scheme, int64_t rows, int64_t cols) {
  return scheme.rows_in_sequence() && grid_of(scheme, rows, cols)->block_rows == 1;
}

const float* TrainedMatrix::weights_of(int64_t row) const {
  for (const Weights& part : weights_)
    if (row < part.end_row) return part.of_columns.data();
  return weights_.back().of_columns.data();
}

void TrainedMatrix::fit(const at::Tensor& weight, int threads) {
  const at::Tensor x = on_cpu(weight);
  if (!at::isfinite(x).all().item<bool>())
    fail(ErrorKind::kInvalidArgument, "finetune: a weight is not finite; lower the learning rate");
  if (plain_) return;
  const float* values = x.data_ptr<float>();
  std::fill(stored_.begin(), stored_.end(), std::byte{0});
  // Rows that are stored apart may share words of zero points.
  parallel_for(grid_->rows / grid_->block_rows, scheme_.rows_in_sequence() ? threads : 1, [&](int64_t r, int) {
    const int64_t row = r * grid_->block_rows;
    for (int64_t block = 0; block < grid_->blocks(); ++block)
      grid_->fit(row, block, values + row * grid_->cols + block * grid_->block_cols, grid_->cols,
                 weights_of(row) + block * grid_->block_cols, stored_.data());
  });
  read_steps();
  begin_learning();
  if (is_joint()) take(searched_codes(latent_of(x.to(device_)), latent_grid().scale, threads));
}

/// By the exact search where codes are searched together: on a GPU another one tells ties apart otherwise.
at::Tensor TrainedMatrix::nearest_values(const at::Tensor& weight, int threads) const {
  if (plain_) return values_as(weight, *plain_);
  const RoundingGrid grid = current_grid();
  const at::Tensor values =
      is_joint() ? segments(joint_->levels(searched_codes(weight, grid.scale, threads).to(device_))) * grid.scale
                 : rounded_values(grid, segments(weight));
  return values.reshape(weight.sizes());
}

void TrainedMatrix::hold(const StoredMatrix& stored) {
  if (!plain_) restore(stored.bytes().reshape(-1));
}

at::Tensor TrainedMatrix::begin(const StoredMatrix& stored, const at::Tensor& weight, int threads) {
  const c10::NoGradGuard no_grad;
  const at::Tensor values = stored.values().to(device_, at::kFloat), x = weight.detach().to(device_, at::kFloat);
  hold(stored);
  at::Tensor nearest = nearest_values(x, threads) == values;
  if (is_joint())
    nearest = nearest.reshape({grid_->rows, -1, grid_->joint_cols})
                  .all(-1, /*keepdim=*/true)
                  .expand({-1, -1, grid_->joint_cols})
                  .reshape(values.sizes());
  const at::Tensor begun = at::where(nearest, x, values);
  for (const Weights& part : weights_) {  // each may have been found by other means
    const int64_t count = part.end_row - part.first_row;
    const at::Tensor at_nearest = nearest.narrow(0, part.first_row, count).to(at::kFloat);
    if (at_nearest.mean().item<float>() > kNearestWhereRounded) continue;
    begun.narrow(0, part.first_row, count).copy_(values.narrow(0, part.first_row, count));
  }
  return latent_of(begun).contiguous();
}

at::Tensor TrainedMatrix::latent_of(const at::Tensor& weight) const {
  if (!learns_places()) return weight;
  const c10::NoGradGuard no_grad;
  return places_of(current_grid(), segments(weight)).reshape({grid_->rows, grid_->cols});
}

at::Tensor TrainedMatrix::gaps_at(const RoundingGrid& grid, const at::Tensor& x) const {
  if (!grid.boundaries.defined()) return at::ones_like(x);
  // Between the outermost levels and their boundaries lies half a gap.
  const at::Tensor ends = at::cat({2 * grid.levels.narrow(0, 0, 1) - grid.boundaries.narrow(0, 0, 1), grid.boundaries,
                                   2 * grid.levels.narrow(0, -1, 1) - grid.boundaries.narrow(0, -1, 1)});
  const int64_t count = grid.levels.numel();
  return (ends.narrow(0, 1, count) - ends.narrow(0, 0, count))
      .index_select(0, nearest_codes(grid, x).reshape(-1))
      .reshape(x.sizes());
}

at::Tensor TrainedMatrix::level_widths(const at::Tensor& latent) const {
  const c10::NoGradGuard no_grad;
  if (plain_) return at::zeros_like(latent);
  const RoundingGrid grid = latent_grid();
  const at::Tensor x = segments(latent.detach());
  const at::Tensor gap = is_joint() ? at::full_like(x, mean_gap()) : gaps_at(grid, x);
  return (gap * grid.scale.abs()).reshape({grid_->rows, grid_->cols});
}

double TrainedMatrix::mean_gap() const {
  if (is_joint()) return static_cast<double>(grid_->level(grid_->top_code) - grid_->level(0)) / grid_->top_code;
  return (rounding_.highest - rounding_.lowest) / static_cast<double>(rounding_.levels.numel() - 1);
}

at::Tensor TrainedMatrix::joint_codes(const at::Tensor& x, const at::Tensor& scale, int threads) const {
  if (device_.is_cpu()) return searched_codes(x, scale, threads);
  std::vector<at::Tensor> parts;
  for (const Weights& part : weights_) {
    const int64_t count = part.end_row - part.first_row;
    parts.push_back(
        joint_->codes(x.narrow(0, part.first_row, count), scale.narrow(0, part.first_row, count), part.placed));
  }
  return parts.size() == 1 ? parts[0] : at::cat(parts, 0);
}

at::Tensor TrainedMatrix::searched_codes(const at::Tensor& x, const at::Tensor& scale, int threads) const {
  const at::Tensor weights = on_cpu(x), scales = on_cpu(scale), found = at::empty(x.sizes(), at::kByte);
  const float* values = weights.data_ptr<float>();
  const float* of_segments = scales.data_ptr<float>();
  uint8_t* out = found.data_ptr<uint8_t>();
  const int64_t cols = grid_->cols, width = grid_->segment_cols, per_row = cols / width;
  parallel_for(grid_->rows, threads, [&](int64_t row, int) {
    std::vector<Code> codes(static_cast<size_t>(cols));
    for (int64_t s = 0; s < per_row; ++s)
      grid_->nearest_jointly({.scale = of_segments[row * per_row + s]}, values + row * cols + s * width,
                             weights_of(row) + s * width, width, codes.data() + s * width);
    std::copy(codes.begin(), codes.end(), out + row * cols);
  });
  return found;
}

void TrainedMatrix::recode(const at::Tensor& latent, int threads) {
  if (!is_joint()) return;
  const c10::NoGradGuard no_grad;
  take(joint_codes(latent.detach(), latent_grid().scale, threads));
}

void TrainedMatrix::take(const at::Tensor& codes) {
  codes_ = codes.to(device_);
  keep_in(held_, joint_->levels(codes_));
}

std::vector<std::byte> TrainedMatrix::bytes_now(int threads) const {
  std::vector<std::byte> bytes = stored_;
  if (!codes_.defined()) return bytes;
  const at::Tensor codes = codes_.to(at::kCPU).contiguous();
  const uint8_t* next = codes.data_ptr<uint8_t>();
  parallel_for(grid_->rows, scheme_.rows_in_sequence() ? threads : 1, [&](int64_t row, int) {
    const std::vector<Code> of_row(next + row * grid_->cols, next + (row + 1) * grid_->cols);
    grid_->pack_row(row, of_row.data(), bytes.data());
  });
  return bytes;
}

void TrainedMatrix::read_levels() {
  const at::Tensor levels = at::empty({grid_->rows, grid_->cols}, at::kFloat);
  float* out = levels.data_ptr<float>();
  std::vector<Code> codes(static_cast<size_t>(grid_->cols));
  for (int64_t row = 0; row < grid_->rows; ++row) {
    grid_->unpack_row(row, stored_.data(), codes.data());
    for (const Code code : codes) *out++ = grid_->level(code);
  }
  codes_ = at::Tensor();
  keep_in(held_, levels.to(device_));
}

void TrainedMatrix::read_steps() {
  const int64_t rows = grid_->rows / grid_->block_rows, per_row = grid_->cols / grid_->segment_cols;
  const at::Tensor steps = at::empty({3, rows, per_row, 1}, at::kFloat);
  float* out = steps.data_ptr<float>();
  std::vector<Step> of_block(static_cast<size_t>(grid_->segments()));
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t block = 0; block < grid_->blocks(); ++block) {
      std::fill(of_block.begin(), of_block.end(), Step{});
      grid_->steps(r * grid_->block_rows, block, stored_.data(), of_block.data());
      for (int64_t s = 0; s < grid_->segments(); ++s) {
        const Step& step = of_block[static_cast<size_t>(s)];
        const int64_t at = r * per_row + block * grid_->segments() + s;
        out[at] = step.scale;
        out[rows * per_row + at] = step.zero;
        out[2 * rows * per_row + at] = step.offset;
      }
    }
  const at::Tensor placed = steps.to(device_);
  keep_in(rounding_.scale, placed[0]);
  keep_in(rounding_.zero, placed[1]);
  keep_in(rounding_.offset, placed[2]);
}

at::Tensor TrainedMatrix::segments(const at::Tensor& latent) const {
  return latent.reshape({grid_->rows, grid_->cols / grid_->segment_cols, grid_->segment_cols});
}

RoundingGrid TrainedMatrix::current_grid() const { return steps_ ? steps_->on(rounding_) : rounding_; }

RoundingGrid TrainedMatrix::latent_grid() const {
  return learns_places() ? among_places(current_grid()) : current_grid();
}

at::Tensor TrainedMatrix::seen(const at::Tensor& latent, bool dropped) const {
  if (plain_) return with_gradient_of(latent, values_as(latent.detach(), *plain_));
  const at::Tensor x = segments(latent);
  if (is_joint()) {
    const RoundingGrid grid = current_grid();
    const at::Tensor levels = segments(held_);
    const at::Tensor values =
        learns_places() ? round_places_to(levels, grid, x) : with_gradient_of(x, levels * grid.scale);
    return values.reshape({grid_->rows, grid_->cols});
  }
  const RoundingGrid grid = dropped ? inner_half(current_grid()) : current_grid();
  const at::Tensor values = learns_places() ? round_places(grid, x)
                            : steps_        ? round_learned(grid, x)
                                            : round_straight(grid, x);
  return values.reshape({grid_->rows, grid_->cols});
}

void TrainedMatrix::begin_learning() {
  if (scales_learn_ == ScalesLearn::kNot) return;
  steps_.emplace(*grid_, stored_.data(), device_);
}

void TrainedMatrix::bound(const at::Tensor& latent) const {
  if (plain_ || is_joint() || (steps_ && !learns_places())) return;
  const c10::NoGradGuard no_grad;
  const RoundingGrid grid = latent_grid();
  const at::Tensor ends[] = {grid.scale * (least_ - grid.zero) + grid.offset,
                             grid.scale * (most_ - grid.zero) + grid.offset};
  const at::Tensor none = grid.scale == 0;  // such weights are free until the next fit
  segments(latent.detach())                 // the same memory
      .clamp_(at::minimum(ends[0], ends[1]).masked_fill(none, -kBeyondAnyLevel),
              at::maximum(ends[0], ends[1]).masked_fill(none, kBeyondAnyLevel));
}

void TrainedMatrix::dampen(const at::Tensor& latent, double share) const {
  if (plain_) return;
  const c10::NoGradGuard no_grad;
  const RoundingGrid grid = latent_grid();
  const at::Tensor x = segments(latent.detach());  // the same memory
  const at::Tensor rounded = is_joint() ? segments(held_) * grid.scale : rounded_values(grid, x);
  x.lerp_(rounded, (grid.scale != 0).to(x.scalar_type()).mul_(share));
}

double TrainedMatrix::level_width() const {
  if (plain_) return 0;
  if (is_joint()) return (segments(held_) * rounding_.scale).abs().mean().item<double>();
  return rounding_.scale.abs().mean().item<double>() * mean_gap();
}

StoredMatrix TrainedMatrix::stored(const at::Tensor& latent, int threads) const {
  const c10::NoGradGuard no_grad;
  if (plain_) {
    const at::Tensor values = on_cpu(latent);
    std::vector<std::byte> bytes(scheme_.bytes(grid_->rows, grid_->cols));
    grid_->encode(values.data_ptr<float>(), weights_of(0), bytes.data());
    return {scheme_, {grid_->rows, grid_->cols}, bytes};
  }
  std::vector<std::byte> bytes = is_joint() ? bytes_now(threads) : stored_;
  if (steps_) steps_->store(bytes.data());
  if (is_joint()) return {scheme_, {grid_->rows, grid_->cols}, bytes};
  const at::Tensor codes = nearest_codes(latent_grid(), segments(latent.detach())).to(at::kCPU, at::kInt).contiguous();
  const int32_t* next = codes.data_ptr<int32_t>();
  parallel_for(grid_->rows, scheme_.rows_in_sequence() ? threads : 1, [&](int64_t row, int) {
    std::vector<Code> of_row(next + row * grid_->cols, next + (row + 1) * grid_->cols);
    for (Code& code : of_row) code += lowest_code_;
    grid_->pack_row(row, of_row.data(), bytes.data());
  });
  return {scheme_, {grid_->rows, grid_->cols}, bytes};
}

at::Tensor TrainedMatrix::fitted() const {
  const std::vector<std::byte> now = bytes_now(1);
  const at::Tensor bytes = at::empty({static_cast<int64_t>(now.size())}, at::kByte);
  if (!now.empty()) std::memcpy(bytes.data_ptr(), now.data(), now.size());
  return bytes;
}

void TrainedMatrix::restore(const at::Tensor& fitted) {
  if (fitted.nbytes() != stored_.size())
    fail(ErrorKind::kInternal, "finetune: {} bytes of scales restored, expected {}", fitted.nbytes(), stored_.size());
  if (plain_) return;
  std::memcpy(stored_.data(), fitted.data_ptr(), stored_.size());
  read_steps();
  if (is_joint()) read_levels();
  begin_learning();
}

}  // namespace vernier
