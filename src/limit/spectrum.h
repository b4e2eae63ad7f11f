#pragma once

// A DamageSpectrum while it is counted, direction by direction.

#include <cmath>
#include <cstdint>
#include <vector>

#include "vernier/limit.h"

namespace vernier {

class SpectrumCounter {
 public:
  SpectrumCounter();
  /// A direction that costs 2^log2_nats; below 2^kLowest it costs nothing.
  void add(double log2_nats) {
    const double place = (log2_nats - kLowest) * kLevelsPerOctave;
    if (!(place >= 0) || place >= static_cast<double>(kLevels - 1)) return outside(log2_nats);
    const auto level = static_cast<int64_t>(place);
    const double above = place - static_cast<double>(level);
    counts_[static_cast<size_t>(level)] += 1 - above;
    counts_[static_cast<size_t>(level) + 1] += above;
  }
  void add(const SpectrumCounter& other);
  /// Writes first_level and directions. What is below the highest level by more than a code of any rate reaches is left
  /// out.
  void write(DamageSpectrum& spectrum) const;

 private:
  static constexpr int kLowest = -200, kHighest = 60;  // log2 of nats
  static constexpr int64_t kLevels = int64_t{kHighest - kLowest} * kLevelsPerOctave + 1;
  void outside(double log2_nats);
  std::vector<double> counts_;
};

}  // namespace vernier
