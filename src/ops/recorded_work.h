#pragma once

// Work of a GPU that is recorded once and then started as a whole (CUDA graphs): a step of training is thousands of short
// kernels, and starting them one by one takes longer than they run.
//
//   if (RecordedWork::is_available(device)) {
//     RecordedWork work(device, [&] { sum = at::matmul(a, b).sum(); });
//     a.copy_(next);   // the same memory
//     work.replay();   // sum is that of the next
//   }

#include <c10/core/Device.h>

#include <functional>
#include <memory>

namespace vernier {

class RecordedWork {
 public:
  /// Whether this build and this device can: only CUDA.
  static bool is_available(const at::Device& device);

  /// Calls `work` twice, so that libraries set up what they need, and once more to record it. Its shapes and addresses are
  /// fixed by then: it may only read tensors that outlive the recording, and must not wait for the device. What it leaves
  /// in tensors is written by every replay(), nothing by the recording.
  /// @throws Error{kUnsupported} where it waits for the device, or there is none that records
  RecordedWork(const at::Device& device, const std::function<void()>& work);
  ~RecordedWork();
  RecordedWork(const RecordedWork&) = delete;
  RecordedWork& operator=(const RecordedWork&) = delete;

  /// Behind what the current stream does.
  void replay();

 private:
  struct Graph;
  std::unique_ptr<Graph> graph_;
};

}  // namespace vernier
