#include "ops/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace vernier {

namespace {

constexpr double kPi = std::numbers::pi;

double llama3_frequency(double frequency, const RopeConfig& rope) {
  const double wavelength = 2 * kPi / frequency;
  const double original = static_cast<double>(rope.original_context);
  if (wavelength < original / rope.high_freq_factor) return frequency;
  if (wavelength > original / rope.low_freq_factor) return frequency / rope.factor;
  const double blend = (original / wavelength - rope.low_freq_factor) / (rope.high_freq_factor - rope.low_freq_factor);
  return (1 - blend) * frequency / rope.factor + blend * frequency;
}

/// Share of interpolation per pair: 0 keeps the frequency, 1 divides it by the factor; a ramp between the dimensions
/// that make beta_fast and beta_slow rotations over the trained context.
double yarn_ramp(int64_t pair, const RopeConfig& rope, int64_t head_dim) {
  const double dim = static_cast<double>(head_dim);
  const auto dimension_of = [&](double rotations) {
    return dim * std::log(static_cast<double>(rope.original_context) / (rotations * 2 * kPi)) /
           (2 * std::log(rope.theta));
  };
  double low = dimension_of(rope.beta_fast), high = dimension_of(rope.beta_slow);
  if (rope.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, dim - 1);
  if (low == high) high += 0.001;
  return std::clamp((static_cast<double>(pair) - low) / (high - low), 0.0, 1.0);
}

}  // namespace

std::vector<float> rope_frequencies(const RopeConfig& rope, int64_t head_dim) {
  std::vector<float> frequencies;
  for (int64_t pair = 0; pair < head_dim / 2; ++pair) {
    double frequency = std::pow(rope.theta, -2.0 * static_cast<double>(pair) / static_cast<double>(head_dim));
    switch (rope.kind) {
      case RopeConfig::Kind::kDefault: break;
      case RopeConfig::Kind::kLinear: frequency /= rope.factor; break;
      case RopeConfig::Kind::kLlama3: frequency = llama3_frequency(frequency, rope); break;
      case RopeConfig::Kind::kFactors: frequency /= rope.factors[static_cast<size_t>(pair)]; break;
      case RopeConfig::Kind::kYarn: {
        const double ramp = yarn_ramp(pair, rope, head_dim);
        frequency = ramp * frequency / rope.factor + (1 - ramp) * frequency;
        break;
      }
    }
    frequencies.push_back(static_cast<float>(frequency));
  }
  return frequencies;
}

RopeTable::RopeTable(const RopeConfig& rope, int64_t head_dim, int64_t positions)
    : positions(positions), half(head_dim / 2) {
  const std::vector<float> frequencies = rope_frequencies(rope, head_dim);
  cos.reserve(static_cast<size_t>(positions * half));
  sin.reserve(static_cast<size_t>(positions * half));
  for (int64_t position = 0; position < positions; ++position)
    for (const float frequency : frequencies) {
      const float angle = static_cast<float>(position) * frequency;
      cos.push_back(static_cast<float>(std::cos(static_cast<double>(angle)) * rope.attention_factor));
      sin.push_back(static_cast<float>(std::sin(static_cast<double>(angle)) * rope.attention_factor));
    }
}

RopeTables::RopeTables(const RopeConfig& rope, const std::optional<RopeConfig>& windowed, int64_t head_dim,
                       int64_t positions)
    : all_(rope, head_dim, positions) {
  if (windowed) windowed_.emplace(*windowed, head_dim, positions);
}

}  // namespace vernier
