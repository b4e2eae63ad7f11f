#include "curvature/spectrum.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace vernier {

namespace {

constexpr uint64_t kTraceStream = 0x5472616365;  // apart from the start of the power iteration

double relative_change(double now, double before) { return std::abs(now - before) / (std::abs(before) + 1e-6); }

void make_unit(WeightVector& vector, double length) {
  for (at::Tensor& part : vector) part = part / length;
}

}  // namespace

void find_top_eigenvalue(const LossSurface& surface, const CurvatureOptions& options, GroupCurvature& found) {
  if (options.max_iterations <= 0) return;
  std::mt19937_64 random(options.seed);
  WeightVector v = surface.random_normal(random);
  make_unit(v, norm(v));
  for (found.iterations = 1;; ++found.iterations) {
    WeightVector product = surface.hessian_times(v);
    const double value = dot(v, product), length = norm(product);
    found.converged = found.iterations > 1 && relative_change(value, found.top_eigenvalue) < options.eigen_tolerance;
    found.top_eigenvalue = value;
    if (length == 0) found.converged = true;  // a surface without curvature along v: it stays 0
    if (found.converged || found.iterations >= options.max_iterations) return;
    make_unit(product, length);
    v = std::move(product);
  }
}

void estimate_trace(const LossSurface& surface, const CurvatureOptions& options, GroupCurvature& found) {
  if (options.max_probes <= 0) return;
  std::mt19937_64 random(options.seed ^ kTraceStream);
  double sum = 0, squares = 0, before = 0;
  while (found.probes < options.max_probes) {
    const WeightVector signs = surface.random_signs(random);
    const double value = dot(signs, surface.hessian_times(signs));
    sum += value, squares += value * value;
    const double mean = sum / ++found.probes;
    const bool still = found.probes > 1 && relative_change(mean, before) < options.trace_tolerance;
    before = mean;
    if (still && found.probes >= options.min_probes) break;
  }
  const double n = found.probes, variance = std::max(0.0, squares / n - before * before);
  found.trace = {before, n > 1 ? std::sqrt(variance / (n - 1)) : kNotMeasured};
}

}  // namespace vernier
