#include "engine/engine.h"

#include <ATen/Context.h>
#include <c10/core/Device.h>

#include <algorithm>

#include "base/fail.h"
#include "engine/aten_engine.h"
#include "engine/fused_engine.h"

namespace vernier {

namespace {

at::Device device_named(const std::string& name) {
  try {
    const at::Device device(name);
    if (!device.is_cuda() || at::hasCUDA()) return device;
  } catch (const c10::Error&) {  // its message lists devices that were never built in
  }
  fail(ErrorKind::kInvalidArgument, "device \"{}\": expected cpu{}", name,
       at::hasCUDA() ? ", cuda or cuda:<number>" : "; this libtorch has no CUDA, build with one that has");
}

}  // namespace

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
}

size_t sequences_at_once(const ModelConfig& config, int64_t positions, int workers) {
  constexpr int64_t kBytes = int64_t{256} << 20;
  const int64_t stream = std::max<int64_t>(1, positions * config.hidden * static_cast<int64_t>(sizeof(float)));
  return static_cast<size_t>(std::max<int64_t>(4 * workers, kBytes / stream));
}

std::unique_ptr<Engine> make_engine(const ComputeOptions& options) {
  if (options.device == "cpu") return make_fused_engine(resolve_threads(options));
  // float32 means float32: TF32 keeps 10 bits of each factor, and mild damage would drown in that.
  at::globalContext().setAllowTF32CuBLAS(false);
  return make_aten_engine(options.device == "aten" ? at::Device(at::kCPU) : device_named(options.device));
}

}  // namespace vernier
