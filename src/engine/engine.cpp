#include "engine/engine.h"

#include <ATen/Context.h>

#include <algorithm>

#include "engine/aten_engine.h"
#include "engine/device.h"
#include "engine/fused_engine.h"

namespace vernier {

void SiteSums::resize(size_t channels) {
  squares.assign(channels, 0);
  magnitudes.assign(channels, 0);
  largest.assign(channels, 0);
}

void SiteSums::add(const SiteSums& other) {
  if (squares.empty()) resize(other.squares.size());
  for (size_t j = 0; j < squares.size(); ++j) {
    squares[j] += other.squares[j];
    magnitudes[j] += other.magnitudes[j];
    largest[j] = std::max(largest[j], other.largest[j]);
  }
  rows += other.rows;
}

size_t sequences_at_once(const ModelConfig& config, int64_t positions, int workers) {
  constexpr int64_t kBytes = int64_t{256} << 20;
  const int64_t stream = std::max<int64_t>(1, positions * config.hidden * static_cast<int64_t>(sizeof(float)));
  return static_cast<size_t>(std::max<int64_t>(4 * workers, kBytes / stream));
}

std::vector<std::vector<float>> AnsweringModel::answers(int worker, std::span<const ModelInput> inputs) const {
  std::vector<std::vector<float>> result;
  for (const ModelInput& input : inputs) result.push_back(answer(worker, input));
  return result;
}

std::unique_ptr<Engine> make_engine(const ComputeOptions& options) {
  if (options.device == "cpu") return make_fused_engine(resolve_threads(options));
  // float32 means float32: TF32 keeps 10 bits of each factor, and mild damage would drown in that.
  at::globalContext().setAllowTF32CuBLAS(false);
  return make_aten_engine(device_named(options.device));
}

}  // namespace vernier
