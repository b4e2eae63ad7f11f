#include "quantize/learned_steps.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "base/fail.h"
#include "ops/straight_through.h"
#include "scheme/half_float.h"

namespace vernier {

namespace {

constexpr double kSmallestScale = 1e-8;
constexpr double kSmallestNumberFactor = 1e-3;
/// Plain scales are an order of magnitude smaller than weights, and one stands for a whole segment.
constexpr double kPlainRate = 0.1;
/// An integer of a segment is about ten: it moves by as large a share as the number of a block does.
constexpr double kIntegerRate = 10;

at::ScalarType type_of_scale(PlainScale scale) { return scale == PlainScale::kHalf ? at::kHalf : at::kBFloat16; }

}  // namespace

bool has_learnable_steps(const Grid& grid) {
  return grid.plain_scale() != PlainScale::kNone || grid.parts_shape() != nullptr;
}

at::Tensor LearnedSteps::Part::numbers() const {
  return cast_straight((start * factor).clamp(-static_cast<double>(kMaxHalf), static_cast<double>(kMaxHalf)),
                       at::kHalf);
}

at::Tensor LearnedSteps::Part::whole() const {
  if (!integers_learn) return integers;
  const at::Tensor within = integers.clamp(lowest, highest);
  return with_gradient_of(within, ((within.detach() - lowest) / stride).round() * stride + lowest);
}

LearnedSteps::LearnedSteps(const Grid& grid, const std::byte* stored, const at::Device& device) : grid_(grid) {
  if (!has_learnable_steps(grid)) fail(ErrorKind::kInternal, "finetune: these steps do not learn");
  const int64_t rows = grid.rows / grid.block_rows, blocks = grid.blocks(), segments = grid.segments();
  const StepPartsShape* shape = grid.parts_shape();
  if (shape == nullptr) {  // a block of these formats is one segment
    const at::Tensor scales = at::empty({rows, blocks, 1}, at::kFloat);
    float* out = scales.data_ptr<float>();
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t block = 0; block < blocks; ++block) {
        Step step;
        grid.steps(r * grid.block_rows, block, stored, &step);
        *out++ = step.scale;
      }
    plain_ = add("scale", scales.to(device), kPlainRate);
    return;
  }
  const at::Tensor numbers = at::empty({2, rows, blocks, 1}, at::kFloat);
  const at::Tensor integers = at::empty({2, rows, blocks, segments}, at::kFloat);
  auto number = numbers.accessor<float, 4>();
  auto integer = integers.accessor<float, 4>();
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t b = 0; b < blocks; ++b) {
      const StepParts parts = grid.parts(r, b, stored);
      number[0][r][b][0] = parts.d;
      number[1][r][b][0] = parts.dmin;
      for (int64_t s = 0; s < segments; ++s) {
        integer[0][r][b][s] = static_cast<float>(parts.scale[static_cast<size_t>(s)]);
        integer[1][r][b][s] = static_cast<float>(parts.min[static_cast<size_t>(s)]);
      }
    }
  const at::Tensor of_numbers = numbers.to(device), of_integers = integers.to(device);
  scale_ = part("d", "scales", of_numbers[0], of_integers[0], shape->scale);
  scale_.unit = shape->unit;
  if (shape->has_min) min_ = part("dmin", "mins", of_numbers[1], of_integers[1], shape->min);
}

const at::Tensor& LearnedSteps::add(const char* name, const at::Tensor& value, double rate) {
  leaves_.push_back({name, value.detach().clone().set_requires_grad(true), rate, value.abs().mean().item<double>()});
  return leaves_.back().value;
}

LearnedSteps::Part LearnedSteps::part(const char* number, const char* integer, const at::Tensor& start,
                                      const at::Tensor& integers, const IntegerRange& range) {
  Part made{.start = start.contiguous(),
            .factor = add(number, at::ones_like(start), 1),
            .integers = integers.contiguous(),
            .sign = integers.sign(),
            .lowest = static_cast<double>(range.lowest),
            .highest = static_cast<double>(range.highest),
            .stride = static_cast<double>(range.stride),
            .integers_learn = !range.is_fixed()};
  if (made.integers_learn) made.integers = add(integer, integers, kIntegerRate);
  return made;
}

void LearnedSteps::bound() const {
  const c10::NoGradGuard no_grad;
  if (plain_.defined()) plain_.detach().clamp_min_(kSmallestScale);
  for (const Part* part : {&scale_, &min_})
    if (part->factor.defined()) part->factor.detach().clamp_min_(kSmallestNumberFactor);
  if (scale_.integers_learn)
    scale_.integers.detach().copy_(scale_.sign * (scale_.sign * scale_.integers.detach()).clamp_min_(1));
}

RoundingGrid LearnedSteps::on(RoundingGrid grid) const {
  if (plain_.defined()) {
    grid.scale = cast_straight(plain_, type_of_scale(grid_.plain_scale()));
    return grid;
  }
  const auto by_segment = [&](const Part& part) {
    return (part.numbers() * part.unit * part.whole()).reshape({grid_.rows, grid_.blocks() * grid_.segments(), 1});
  };
  grid.scale = by_segment(scale_);
  if (min_.start.defined()) grid.offset = -by_segment(min_);
  return grid;
}

void LearnedSteps::store(std::byte* stored) const {
  const c10::NoGradGuard no_grad;
  const auto on_cpu = [](const at::Tensor& t) { return t.detach().to(at::kCPU, at::kFloat).contiguous(); };
  const int64_t rows = grid_.rows / grid_.block_rows, blocks = grid_.blocks(), segments = grid_.segments();
  if (plain_.defined()) {
    const at::Tensor scales = on_cpu(plain_);
    const float* scale = scales.data_ptr<float>();
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t block = 0; block < blocks; ++block) grid_.store_scale(r * grid_.block_rows, block, *scale++, stored);
    return;
  }
  const bool has_min = min_.start.defined();
  const at::Tensor d = on_cpu(scale_.numbers()), scales = on_cpu(scale_.whole());
  const at::Tensor dmin = has_min ? on_cpu(min_.numbers()) : d, mins = has_min ? on_cpu(min_.whole()) : scales;
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t b = 0; b < blocks; ++b) {
      const int64_t at = r * blocks + b;
      StepParts parts{.d = d.data_ptr<float>()[at]};
      if (has_min) parts.dmin = dmin.data_ptr<float>()[at];
      for (int64_t s = 0; s < segments; ++s) {
        parts.scale[static_cast<size_t>(s)] = static_cast<int>(scales.data_ptr<float>()[at * segments + s]);
        if (has_min) parts.min[static_cast<size_t>(s)] = static_cast<int>(mins.data_ptr<float>()[at * segments + s]);
      }
      grid_.store_parts(r, b, parts, stored);
    }
}

void LearnedSteps::restore(const std::map<std::string, at::Tensor>& values, const std::string& origin) const {
  const c10::NoGradGuard no_grad;
  for (const LearnedLeaf& leaf : leaves_) {
    const auto found = values.find(leaf.name);
    if (found == values.end() || found->second.numel() != leaf.value.numel())
      fail(ErrorKind::kBadFile, "{}: no {} of {} steps; delete the checkpoint to begin anew", origin, leaf.name,
           leaf.value.numel());
    leaf.value.detach().copy_(found->second.reshape(leaf.value.sizes()));
  }
}

}  // namespace vernier
