#pragma once

// Where the time of training goes: seconds by part of a step, the device finished before each begins.

#include <ATen/core/Tensor.h>

#include <chrono>
#include <string>
#include <vector>

#include "vernier/finetune.h"

namespace vernier {

class StepClock {
 public:
  /// `on`: false measures nothing and waits for nothing.
  StepClock(const at::Device& device, bool on) : device_(device), on_(on) {}

  /// Ends the part that runs, if any, and begins `stage`.
  void enter(const char* stage);
  /// Ends the part that runs.
  void leave();
  /// In the order in which they were first entered.
  const std::vector<FinetuneStage>& stages() const { return stages_; }

 private:
  at::Device device_;
  bool on_;
  const char* running_ = nullptr;
  std::chrono::steady_clock::time_point since_;
  std::vector<FinetuneStage> stages_;
};

}  // namespace vernier
