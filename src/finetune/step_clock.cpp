#include "finetune/step_clock.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace vernier {

void StepClock::enter(const char* stage) {
  if (!on_) return;
  leave();
  running_ = stage;
  since_ = std::chrono::steady_clock::now();
}

void StepClock::leave() {
  if (running_ == nullptr) return;
  if (!device_.is_cpu()) at::zeros({1}, at::TensorOptions(device_)).item();  // whose copy waits for all before it
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - since_;
  auto found = std::ranges::find(stages_, running_, &FinetuneStage::name);
  if (found == stages_.end()) found = stages_.insert(found, {running_, 0, 0});
  found->seconds += taken.count();
  ++found->times;
  running_ = nullptr;
}

}  // namespace vernier
