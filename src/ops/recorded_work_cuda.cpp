#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "base/fail.h"
#include "ops/recorded_work.h"

namespace vernier {

struct RecordedWork::Graph {
  at::cuda::CUDAGraph graph;
};

bool RecordedWork::is_available(const at::Device& device) { return device.is_cuda(); }

RecordedWork::RecordedWork(const at::Device& device, const std::function<void()>& work)
    : graph_(std::make_unique<Graph>()) {
  const c10::cuda::CUDAGuard on_device(device);
  // Not the default stream, which cannot be recorded.
  const c10::cuda::CUDAStream stream = c10::cuda::getStreamFromPool();
  c10::cuda::getCurrentCUDAStream().synchronize();
  {
    const c10::cuda::CUDAStreamGuard on_stream(stream);
    for (int i = 0; i < 2; ++i) work();
    stream.synchronize();
    c10::cuda::CUDACachingAllocator::emptyCache();  // a recording has memory of its own
    graph_->graph.capture_begin();
    try {
      work();
    } catch (const c10::Error& e) {
      try {
        graph_->graph.capture_end();
      } catch (const c10::Error&) {
        // An invalid recording cannot be ended well; what matters is why it is one.
      }
      fail(ErrorKind::kUnsupported, "{}: this work cannot be recorded: {}", device.str(), e.what_without_backtrace());
    }
    graph_->graph.capture_end();
  }
}

RecordedWork::~RecordedWork() = default;

void RecordedWork::replay() { graph_->graph.replay(); }

}  // namespace vernier
