#pragma once

// What a language model says about windows of text, summed over their scored tokens while the logits are there: none are
// kept.

#include <cstdint>
#include <vector>

#include "vernier/evaluate.h"

namespace vernier {

/// Sums over the scored tokens of a window.
struct TextFigures {
  int64_t tokens = 0;
  double nll_nats = 0;
  double right = 0;  ///< tokens that were the most likely one
  double logit_variance = 0, margin = 0, entropy_nats = 0, confidence = 0;
  double kl_nats = 0;  ///< from the reference

  TextFigures& operator+=(const TextFigures& other);
};

/// Of a tensor of logits at one token. `scratch` [vocabulary] is overwritten.
TextFigures figures_of_logits(const float* logits, int64_t vocabulary, int32_t label, float* scratch);

struct TextScores {
  std::vector<TextFigures> reference;            ///< by window
  std::vector<std::vector<TextFigures>> models;  ///< by model and window
};
/// @throws, @cost as evaluate
TextScores score_texts(const Model& reference, const std::vector<const Model*>& models, const EvaluationData& data,
                       const EvaluateOptions& options, ProgressSink* progress);

/// Losses in nats, by model and window, once the logits of each model are multiplied by its factor.
/// @cost another forward pass per model: the factors are only known after the first
std::vector<std::vector<double>> rescaled_losses(const std::vector<const Model*>& models,
                                                 const std::vector<double>& factors, const EvaluationData& data,
                                                 const EvaluateOptions& options, ProgressSink* progress);

}  // namespace vernier
