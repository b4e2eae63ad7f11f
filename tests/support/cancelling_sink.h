#pragma once

// A progress sink that cancels its stage, and remembers how often it was called.

#include "vernier/progress.h"

namespace vernier {

struct Cancelled {};

struct CancellingSink : ProgressSink {
  explicit CancellingSink(int ticks) : allowed(ticks) {}
  void update(int64_t) override {
    if (++updates > allowed) throw Cancelled{};
  }
  void end() override { ended = true; }

  int allowed;  ///< updates before it throws
  int updates = 0;
  bool ended = false;
};

}  // namespace vernier
