#pragma once

// What a packed product alone makes of the processor: the floor under everything that multiplies.

#include <ATen/ATen.h>

#include <algorithm>
#include <vector>

#include "cpu_seconds.h"
#include "ops/packed_linear.h"
#include "ops/parallel.h"

namespace vernier {

/// [rows x in] x [in -> out] on every thread at once, as windows and images run it. @return of the best of three
struct PackedRate {
  double gflops = 0;      ///< per second, of all threads together
  double cpu_gflops = 0;  ///< per CPU second
};
inline PackedRate packed_rate(int threads, int64_t rows, int64_t in, int64_t out,
                              ComputeType type = ComputeType::kFloat32) {
  constexpr int kRepeats = 3;
  const auto products_each = std::max<int64_t>(1, 40'000'000'000 / (rows * in * out));
  const PackedLinear linear(at::ones({out, in}), {}, type);
  std::vector<Arena> arenas(static_cast<size_t>(threads));
  const auto products = [&](int64_t count) {
    parallel_for(threads, threads, [&](int64_t, int worker) {
      Arena& arena = arenas[static_cast<size_t>(worker)];
      const Arena::Scope scope(arena);
      const Slab x = arena.slab(rows, in), y = arena.slab(rows, out);
      std::fill_n(x.data, rows * in, 1.0f);
      for (int64_t i = 0; i < count; ++i) linear.apply(x, y, /*accumulate=*/false, arena);
    });
  };
  products(1);  // code generation and first touch
  Seconds best;
  for (int i = 0; i < kRepeats; ++i) best = least(best, seconds_of([&] { products(products_each); }));
  const double work = 2e-9 * static_cast<double>(threads * products_each * rows * in * out);
  return {work / best.wall, work / best.cpu};
}

}  // namespace vernier
