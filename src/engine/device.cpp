#include "engine/device.h"

#include <ATen/Context.h>

#include "base/fail.h"

namespace vernier {

at::Device device_named(const std::string& name) {
  if (name == "aten") return at::kCPU;
  try {
    const at::Device device(name);
    if (!device.is_cuda() || at::hasCUDA()) return device;
  } catch (const c10::Error&) {  // its message lists devices that were never built in
  }
  fail(ErrorKind::kInvalidArgument, "device \"{}\": expected cpu{}", name,
       at::hasCUDA() ? ", cuda or cuda:<number>" : "; this libtorch has no CUDA, build with one that has");
}

}  // namespace vernier
