#include "ops/site_rounding.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/fail.h"
#include "ops/activation_rounding.h"
#include "scheme/half_float.h"

namespace vernier {

namespace {

using Span = ActivationGrid::Span;

bool has_ranges(const SiteRounding& rounding) {
  return rounding.ranges.size() > 1 || (rounding.ranges.size() == 1 && rounding.ranges[0] > 0);
}

void check_ranges(const SiteRounding& rounding, int64_t channels) {
  if (rounding.ranges.size() > 1 && static_cast<int64_t>(rounding.ranges.size()) != channels)
    fail(ErrorKind::kInternal, "activation ranges of {} channels for rows of {}", rounding.ranges.size(), channels);
}

/// x itself where it has no step: a range of 0 has only zeros, or values that calibrating never saw.
float on_grid(float x, float step, float most) {
  return step == 0 ? 0.0f : round_even(std::clamp(x / step, -most, most)) * step;
}

/// Of each channel the largest magnitude over all rows.
std::vector<float> channel_ranges(const Slab& x) {
  std::vector<float> largest(static_cast<size_t>(x.cols), 0);
  for (int64_t r = 0; r < x.rows; ++r)
    for (int64_t j = 0; j < x.cols; ++j) {
      float& own = largest[static_cast<size_t>(j)];
      own = std::max(own, std::fabs(x.row(r)[j]));
    }
  return largest;
}

}  // namespace

void round_site(const SiteRounding& rounding, const Slab& x, const Slab& y) {
  check_ranges(rounding, x.cols);
  const float most = largest_code(rounding.bits);
  const bool fixed = has_ranges(rounding);
  std::vector<float> channels;
  if (rounding.keep_from > 0 || (!fixed && rounding.span != Span::kToken)) channels = channel_ranges(x);
  const auto keeps = [&](int64_t j) {
    return rounding.keep_from > 0 && channels[static_cast<size_t>(j)] >= rounding.keep_from;
  };
  float whole = 0;  // the range of all rows
  if (fixed && rounding.ranges.size() == 1) whole = rounding.ranges[0];
  if (!fixed && rounding.span == Span::kTensor)
    for (int64_t j = 0; j < x.cols; ++j)
      if (!keeps(j)) whole = std::max(whole, channels[static_cast<size_t>(j)]);
  const std::vector<float>& by_channel = fixed ? rounding.ranges : channels;
  const bool per_channel = fixed ? rounding.ranges.size() > 1 : rounding.span == Span::kChannel;
  for (int64_t r = 0; r < x.rows; ++r) {
    const float* in = x.row(r);
    float* out = y.row(r);
    if (!std::all_of(in, in + x.cols, [](float value) { return std::isfinite(value); })) {
      std::fill_n(out, x.cols, std::numeric_limits<float>::quiet_NaN());
      continue;
    }
    float range = whole;
    if (!fixed && rounding.span == Span::kToken)
      for (int64_t j = 0; j < x.cols; ++j)
        if (!keeps(j)) range = std::max(range, std::fabs(in[j]));
    for (int64_t j = 0; j < x.cols; ++j) {
      const float step = (per_channel ? by_channel[static_cast<size_t>(j)] : range) / most;
      out[j] = keeps(j) ? in[j] : on_grid(in[j], step, most);
    }
  }
}

void kept_channels(const SiteRounding& rounding, const Slab& x, const Slab& y) {
  const std::vector<float> channels = channel_ranges(x);
  for (int64_t r = 0; r < x.rows; ++r)
    for (int64_t j = 0; j < x.cols; ++j)
      y.row(r)[j] = channels[static_cast<size_t>(j)] >= rounding.keep_from ? x.row(r)[j] : 0.0f;
}

at::Tensor kept_channels(const SiteRounding& rounding, const at::Tensor& x) {
  const at::Tensor rows = x.reshape({-1, x.size(-1)});
  return rows.masked_fill(rows.abs().amax(0, /*keepdim=*/true) < rounding.keep_from, 0).reshape(x.sizes());
}

at::Tensor round_site(const SiteRounding& rounding, const at::Tensor& x) {
  check_ranges(rounding, x.size(-1));
  const at::Tensor rows = x.reshape({-1, x.size(-1)});
  const double most = largest_code(rounding.bits);
  const at::Tensor channels = rows.abs().amax(0, /*keepdim=*/true);
  const at::Tensor kept = rounding.keep_from > 0 ? channels >= rounding.keep_from : at::zeros_like(channels, at::kBool);
  at::Tensor range;
  if (has_ranges(rounding))
    range = at::tensor(rounding.ranges).to(x.device()).unsqueeze(0);
  else if (rounding.span == Span::kChannel)
    range = channels;
  else if (rounding.span == Span::kTensor)
    range = channels.masked_fill(kept, 0).amax(1, /*keepdim=*/true);
  else
    range = rows.abs().masked_fill(kept, 0).amax(1, /*keepdim=*/true);
  const at::Tensor step = range / most;
  const at::Tensor values = (rows / step).clamp(-most, most).round() * step;
  return at::where(kept, rows, at::where(step == 0, at::zeros_like(values), values)).reshape(x.sizes());
}

}  // namespace vernier
