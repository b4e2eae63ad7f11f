#pragma once

// What a stage tells its caller.

#include <string>
#include <string_view>
#include <vector>

#include "vernier/progress.h"

namespace vernier {

struct Warnings : ProgressSink {
  std::vector<std::string> all;
  void warn(std::string_view message) override { all.emplace_back(message); }
};

}  // namespace vernier
