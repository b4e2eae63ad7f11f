#include <algorithm>

#include "evaluate/measure.h"
#include "vernier/metric.h"

namespace vernier {

const Measure kNll{.of_token = [](const ScoredToken& t, const int32_t*) -> double { return t.damage.nll; }};
const Measure kReferenceNll{.compares = true, .of_token = [](const ScoredToken& t, const int32_t*) -> double {
                              return t.damage.reference_nll;
                            }};
const Measure kKl{.compares = true,
                  .of_token = [](const ScoredToken& t, const int32_t*) -> double { return t.damage.kl; }};
const Measure kSameTop{.compares = true, .of_token = [](const ScoredToken& t, const int32_t*) -> double {
                         return t.damage.same_top ? 1 : 0;
                       }};

std::vector<const Measure*> token_measures(bool compared) {
  std::vector<const Measure*> measures;
  for (const Metric& metric : metrics())
    for (const Measure* measure : {metric.of, metric.minus})
      if (measure != nullptr && measure->of_token != nullptr && (compared || !measure->compares) &&
          std::find(measures.begin(), measures.end(), measure) == measures.end())
        measures.push_back(measure);
  return measures;
}

TokenOutcomes::TokenOutcomes(const std::vector<const Measure*>& measures, int64_t rows)
    : measures_(measures), values_(measures.size()) {
  for (const Measure* measure : measures) kept_per_row_ += static_cast<size_t>(measure->kept);
  kept_.resize(static_cast<size_t>(rows) * kept_per_row_);
}

ExampleOutcome TokenOutcomes::of(const ScoredToken& token) {
  int32_t* kept = kept_.data() + static_cast<size_t>(token.row) * kept_per_row_;
  for (size_t i = 0; i < measures_.size(); ++i) {
    const Measure& measure = *measures_[i];
    // The first model comes to a row before all others.
    if (measure.keep != nullptr && token.model == 0) measure.keep(token.reference_logits, token.vocabulary, kept);
    values_[i] = measure.of_token(token, kept);
    kept += measure.kept;
  }
  return values_;
}

}  // namespace vernier
