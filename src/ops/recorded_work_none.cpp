// A libtorch without CUDA records nothing.

#include "base/fail.h"
#include "ops/recorded_work.h"

namespace vernier {

struct RecordedWork::Graph {};

bool RecordedWork::is_available(const at::Device& /*device*/) { return false; }

RecordedWork::RecordedWork(const at::Device& device, const std::function<void()>& /*work*/) {
  fail(ErrorKind::kUnsupported, "{}: this libtorch records no work of a GPU; expected one with CUDA", device.str());
}

RecordedWork::~RecordedWork() = default;

void RecordedWork::replay() {}

}  // namespace vernier
