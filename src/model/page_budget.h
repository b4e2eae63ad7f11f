#pragma once

// For passes that read a model from end to end: its mapped file need not be in memory all at once.

#include <cstdint>

#include "vernier/model.h"

namespace vernier {

class PageBudget {
 public:
  explicit PageBudget(const Model& model) : model_(model) {}
  /// `bytes` of the model were read and are not needed any more.
  void read(int64_t bytes) {
    constexpr int64_t kHeldBytes = int64_t{256} << 20;
    held_ += bytes;
    if (held_ <= kHeldBytes) return;
    model_.release_pages();
    held_ = 0;
  }

 private:
  const Model& model_;
  int64_t held_ = 0;
};

}  // namespace vernier
