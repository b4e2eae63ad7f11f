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

/// In [0, 1), of three numbers: evenly spread and independent of its neighbours (SplitMix64's mixing function over a
/// counter). Screens of before are made again with the same labels, so its bits stay.
inline double uniform_at(uint64_t seed, uint64_t window, uint64_t row) {
  constexpr uint64_t kGolden = 0x9E3779B97F4A7C15u;
  const auto mix = [](uint64_t x) {
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
  };
  uint64_t state = mix(seed + kGolden);
  state = mix(state + kGolden * (window + 1));
  state = mix(state + kGolden * (row + 1));
  return static_cast<double>(state >> 11) * 0x1.0p-53;
}

}  // namespace vernier
