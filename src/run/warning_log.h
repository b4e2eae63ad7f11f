#pragma once

// A sink that always is there: passes everything on to the caller's, if any, and keeps the warnings for the result.

#include <algorithm>
#include <string>
#include <vector>

#include "vernier/progress.h"

namespace vernier {

class WarningLog : public ProgressSink {
 public:
  explicit WarningLog(ProgressSink* to) : to_(to) {}
  void expect_after(double seconds) override {
    if (to_ != nullptr) to_->expect_after(seconds);
  }
  void begin(std::string_view stage, int64_t total, std::string_view unit) override {
    if (to_ != nullptr) to_->begin(stage, total, unit);
  }
  void update(int64_t done) override {
    if (to_ != nullptr) to_->update(done);
  }
  void end() override {
    if (to_ != nullptr) to_->end();
  }
  /// Each message once, however many stages come upon it.
  void warn(std::string_view message) override {
    if (std::find(warnings_.begin(), warnings_.end(), message) != warnings_.end()) return;
    warnings_.emplace_back(message);
    if (to_ != nullptr) to_->warn(message);
  }
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  ProgressSink* to_;
  std::vector<std::string> warnings_;
};

}  // namespace vernier
