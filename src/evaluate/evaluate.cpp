#include "vernier/evaluate.h"

#include <memory>

#include "evaluate/score_windows.h"
#include "evaluate/scores.h"

namespace vernier {

std::vector<Evaluation> evaluate(const std::vector<const Model*>& models, const Model* reference,
                                 const EvaluationData& data, const EvaluateOptions& options, ProgressSink* progress) {
  const std::vector<const Measure*> measures = token_measures(reference != nullptr);
  // One entry per model and window, filled by whoever scores the window and read in order afterwards.
  std::vector<std::vector<WindowSums>> sums(models.size(), std::vector<WindowSums>(data.windows.size()));
  score_windows(models, reference, data, options, "evaluate", progress, [&](size_t w) -> TokenVisitor {
    const auto outcomes = std::make_shared<TokenOutcomes>(measures, data.windows[w].scored());
    return [&, w, outcomes](const ScoredToken& token) {
      WindowSums& s = sums[token.model][w];
      s.add(outcomes->of(token));
      if (reference != nullptr) s.add_tails(token.damage);
      if (options.keep_tokens) s.scores.push_back({token.label, -token.damage.nll});
    };
  });

  std::vector<Evaluation> results;
  for (size_t m = 0; m < models.size(); ++m) {
    Evaluation evaluation = summarize(data, measures, sums[m], reference != nullptr);
    evaluation.model_name = models[m]->source().name;
    evaluation.activations = options.activations;
    results.push_back(std::move(evaluation));
  }
  return results;
}

}  // namespace vernier
