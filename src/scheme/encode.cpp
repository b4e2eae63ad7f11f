#include <algorithm>
#include <cmath>
#include <limits>

#include "base/fail.h"
#include "scheme/grid.h"

namespace vernier {

namespace {

void check_shape(const Scheme& scheme, int64_t rows, int64_t cols, size_t weights, size_t stored) {
  const uint64_t bytes = scheme.bytes(rows, cols);  // refuses what the scheme cannot take
  if (weights != static_cast<uint64_t>(rows) * static_cast<uint64_t>(cols)) {
    fail(ErrorKind::kInvalidArgument, "scheme: {}: expected {} x {} weights, got {}", scheme.name(), rows, cols,
         weights);
  }
  if (stored != bytes) {
    fail(ErrorKind::kInvalidArgument, "scheme: {}: a [{}, {}] weight takes {} bytes, got room for {}", scheme.name(),
         rows, cols, bytes, stored);
  }
}

void check_finite(std::span<const float> weight, int64_t cols) {
  constexpr float kMax = std::numeric_limits<float>::max();
  unsigned bad = 0;
  for (const float x : weight) bad |= static_cast<unsigned>(!(std::fabs(x) <= kMax));
  if (bad == 0) return;
  const auto at =
      std::find_if(weight.begin(), weight.end(), [](float x) { return !std::isfinite(x); }) - weight.begin();
  fail(ErrorKind::kInvalidArgument, "scheme: weight at row {}, column {} is {}; a number format needs finite weights",
       at / cols, at % cols, weight[static_cast<size_t>(at)]);
}

void check_importance(std::span<const float> importance, int64_t cols) {
  if (importance.empty()) return;
  if (importance.size() != static_cast<size_t>(cols)) {
    fail(ErrorKind::kInvalidArgument, "scheme: expected {} importances (one per column) or none, got {}", cols,
         importance.size());
  }
  for (size_t c = 0; c < importance.size(); ++c) {
    if (std::isfinite(importance[c]) && importance[c] >= 0.0f) continue;
    fail(ErrorKind::kInvalidArgument, "scheme: importance of column {} is {}; expected a mean square, finite and >= 0",
         c, importance[c]);
  }
}

}  // namespace

void encode(const Scheme& scheme, std::span<const float> weight, int64_t rows, int64_t cols,
            std::span<const float> importance, std::span<std::byte> out) {
  if (!scheme.writable())
    fail(ErrorKind::kUnsupported,
         "scheme: {} is read from files but not written; small ones are gguf:iq2_xxs, "
         "gguf:iq2_xs, gguf:iq2_s and gguf:q2_k",
         scheme.name());
  check_shape(scheme, rows, cols, weight.size(), out.size());
  check_importance(importance, cols);
  check_finite(weight, cols);
  grid_of(scheme, rows, cols)->encode(weight.data(), column_weights(importance, cols).data(), out.data());
}

void decode(const Scheme& scheme, std::span<const std::byte> stored, int64_t rows, int64_t cols,
            std::span<float> weight) {
  check_shape(scheme, rows, cols, weight.size(), stored.size());
  grid_of(scheme, rows, cols)->decode(stored.data(), weight.data());
}

void round_trip(const Scheme& scheme, std::span<const float> weight, int64_t rows, int64_t cols,
                std::span<const float> importance, std::span<float> out) {
  std::vector<std::byte> stored(scheme.bytes(rows, cols));
  encode(scheme, weight, rows, cols, importance, stored);
  decode(scheme, stored, rows, cols, out);
}

}  // namespace vernier
