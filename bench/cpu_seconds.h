#pragma once

// What benches have in common: the clock that compares on a busy machine, and turns with another process.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <iostream>
#include <limits>
#include <string>

namespace vernier {

/// Elapsed time, and that of all threads on the processor: on a busy machine only the latter still compares.
struct Seconds {
  double wall = std::numeric_limits<double>::infinity(), cpu = wall;
  Seconds operator+(const Seconds& other) const { return {wall + other.wall, cpu + other.cpu}; }
  Seconds operator-(const Seconds& other) const { return {wall - other.wall, cpu - other.cpu}; }
  Seconds operator/(double count) const { return {wall / count, cpu / count}; }
};

template <class Fn>
Seconds seconds_of(Fn&& fn) {
  const auto start = std::chrono::steady_clock::now();
  const std::clock_t cpu = std::clock();
  fn();
  return {std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(),
          static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC};
}

inline Seconds least(const Seconds& a, const Seconds& b) { return {std::min(a.wall, b.wall), std::min(a.cpu, b.cpu)}; }

/// Tells bench/llama_cpp/pairs.mjs that a timed part is over and waits until it has had its turn.
/// @param worth passes over the windows that the part stands for
inline void take_turns(bool paced, const std::string& part, const Seconds& seconds, double worth) {
  if (!paced) return;
  fmt::print("part {} {:.6f} {}\n", part, seconds.cpu, worth);
  std::fflush(stdout);
  std::string line;
  std::getline(std::cin, line);
}

}  // namespace vernier
