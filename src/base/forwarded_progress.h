#pragma once

// Sinks around the caller's: everything is passed on, if there is anybody to pass it on to.
//
//   NamedProgress named(progress, "uniform gguf:q4_0");
//   export_model(..., &named);  // tells of "quantize uniform gguf:q4_0" where it says "quantize"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "vernier/progress.h"

namespace vernier {

class ForwardedProgress : public ProgressSink {
 public:
  /// `to` may be nullptr.
  explicit ForwardedProgress(ProgressSink* to) : to_(to) {}
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
  void warn(std::string_view message) override {
    if (to_ != nullptr) to_->warn(message);
  }

 private:
  ProgressSink* to_;
};

/// Says what a stage that is made several times is made of.
class NamedProgress : public ForwardedProgress {
 public:
  NamedProgress(ProgressSink* to, std::string name) : ForwardedProgress(to), name_(std::move(name)) {}
  void begin(std::string_view stage, int64_t total, std::string_view unit) override {
    ForwardedProgress::begin(fmt::format("{} {}", stage, name_), total, unit);
  }

 private:
  std::string name_;
};

}  // namespace vernier
