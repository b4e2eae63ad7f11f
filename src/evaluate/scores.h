#pragma once

// From per-token outcomes to Scores: sums per window while scoring, means with standard errors afterwards.

#include <vector>

#include "ops/distribution.h"
#include "vernier/evaluate.h"

namespace vernier {

struct WindowSums {
  int64_t tokens = 0;
  double nll = 0, reference_nll = 0, kl = 0, same_top = 0;
  std::vector<float> token_kl, token_delta_p;  ///< only against a reference
  std::vector<TokenScore> scores;              ///< only when kept

  void add(const TokenDamage& damage, bool compared, bool keep, int32_t token);
};

Evaluation summarize(const EvaluationData& data, std::vector<WindowSums>& windows, bool compared);

}  // namespace vernier
