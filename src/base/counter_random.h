#pragma once

// Random numbers as a function of a seed and a place, so that whoever goes on at step 1,000 needs no state.

#include <cstdint>

namespace vernier {

/// splitmix64's finalizer (Steele et al. 2014) over both.
inline uint64_t random_bits(uint64_t seed, uint64_t place) {
  uint64_t x = seed * 0x9E3779B97F4A7C15u + (place + 1) * 0xD1B54A32D192ED03u;
  for (int round = 0; round < 2; ++round) {
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    x ^= x >> 31;
  }
  return x;
}

/// Below `count`; its bias, count / 2^64, shows nowhere.
inline int64_t random_below(uint64_t seed, uint64_t place, int64_t count) {
  return static_cast<int64_t>(random_bits(seed, place) % static_cast<uint64_t>(count));
}

/// In [0, 1).
inline double random_share(uint64_t seed, uint64_t place) {
  return static_cast<double>(random_bits(seed, place) >> 11) * 0x1p-53;
}

}  // namespace vernier
