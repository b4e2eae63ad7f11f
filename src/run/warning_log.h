#pragma once

// A sink that always is there: passes everything on to the caller's, if any, and keeps the warnings for the result.

#include <algorithm>
#include <string>
#include <vector>

#include "base/forwarded_progress.h"

namespace vernier {

class WarningLog : public ForwardedProgress {
 public:
  using ForwardedProgress::ForwardedProgress;
  /// Each message once, however many stages come upon it.
  void warn(std::string_view message) override {
    if (std::find(warnings_.begin(), warnings_.end(), message) != warnings_.end()) return;
    warnings_.emplace_back(message);
    ForwardedProgress::warn(message);
  }
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  std::vector<std::string> warnings_;
};

}  // namespace vernier
