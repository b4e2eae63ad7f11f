#pragma once

// Random numbers that are the same on every machine, which the standard library's distributions are not.

#include <cstdint>
#include <random>

namespace vernier {

class Drawn {
 public:
  explicit Drawn(uint64_t seed) : random_(seed) {}

  /// In [0, 1).
  double uniform() { return static_cast<double>(random_() >> 11) * 0x1p-53; }
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  /// 0 to count - 1.
  int64_t below(int64_t count) { return static_cast<int64_t>(uniform() * static_cast<double>(count)); }
  /// Of mean 0 and variance 1, by Marsaglia's polar method.
  double normal();
  /// By products of uniform numbers where the mean is small, otherwise by transformed rejection (Hoermann 1993, PTRS).
  double poisson(double mean);

 private:
  std::mt19937_64 random_;
  double spare_ = 0;
  bool has_spare_ = false;
};

}  // namespace vernier
