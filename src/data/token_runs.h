#pragma once

// Which windows hold text that stands elsewhere too.

#include <cstdint>
#include <vector>

#include "vernier/data.h"

namespace vernier {

/// What shared_token_runs counts, and of every window of `b` whether it holds such a run.
struct SharedRuns {
  int64_t count = 0;
  std::vector<bool> holders;
};
SharedRuns find_shared_runs(const EvaluationData& a, const EvaluationData& b);

}  // namespace vernier
