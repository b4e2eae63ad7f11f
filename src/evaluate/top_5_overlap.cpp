#include "evaluate/top_5_overlap.h"

#include <algorithm>

#include "ops/kernels.h"

namespace vernier {

namespace {

constexpr int64_t kBest = 5;

void find_top(const float* logits, int64_t vocabulary, int32_t* ids) {
  std::fill_n(ids, kBest, -1);  // a vocabulary of fewer
  largest_indices(logits, vocabulary, kBest, ids);
}

double overlap(const ScoredToken& token, const int32_t* of_reference) {
  int32_t ids[kBest];
  find_top(token.logits, token.vocabulary, ids);
  const auto shared = std::count_if(ids, ids + kBest, [&](int32_t id) {
    return id >= 0 && std::find(of_reference, of_reference + kBest, id) != of_reference + kBest;
  });
  return static_cast<double>(shared) / kBest;
}

}  // namespace

const Measure kTop5Overlap{.compares = true, .of_token = overlap, .keep = find_top, .kept = kBest};

}  // namespace vernier
