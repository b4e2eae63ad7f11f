#pragma once

// From outcomes of examples to Scores: sums per window while scoring, means with standard errors afterwards.

#include <vector>

#include "evaluate/measure.h"
#include "vernier/evaluate.h"

namespace vernier {

struct WindowSums {
  int64_t tokens = 0;
  std::vector<double> sums;                    ///< one per measure
  std::vector<float> token_kl, token_delta_p;  ///< for the tails: only against a reference
  std::vector<TokenScore> scores;              ///< only when kept

  void add(ExampleOutcome outcome);
  void add_tails(const TokenDamage& damage);
};

/// @param measures what `sums` holds, in its order
Evaluation summarize(const EvaluationData& data, const std::vector<const Measure*>& measures,
                     std::vector<WindowSums>& windows, bool compared);

}  // namespace vernier
