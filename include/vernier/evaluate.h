#pragma once

// How good a model is on a text, and how far from a reference: what metric.h lists, whole and per group, each with a
// standard error over windows or documents.
//
//   const Evaluation e = evaluate({&quantized}, &model, data, {})[0];
//   e.all.perplexity().mean;  e.all.kl().mean;  e.groups.at("fi").kl().standard_error;
//
// The reference runs beside the models and is compared tile by tile: no logit files. Of the text, 8 bytes per scored
// token and model stay in memory, for the tails.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vernier/activation_grid.h"
#include "vernier/compute.h"
#include "vernier/data.h"
#include "vernier/measured.h"
#include "vernier/model.h"
#include "vernier/progress.h"

namespace vernier {

/// What a set of scored tokens says.
struct Scores {
  int64_t tokens = 0;
  int64_t documents = 0;           ///< clusters with text of known length, 0 for running text
  int64_t distinct_documents = 0;  ///< without copies: what standard errors are over
  int64_t bytes = 0;               ///< UTF-8, 0 for running text
  /// By Metric::key: those of metrics() that could be had, since some take a reference, some documents.
  std::map<std::string, Measured, std::less<>> metrics;

  /// nullptr when it was not measured.
  const Measured* find(std::string_view key) const;
  /// @throws Error{kInvalidArgument} naming what was missing
  const Measured& at(std::string_view key) const;

  const Measured& nll() const { return at("nll_nats"); }           ///< nats per token
  const Measured& perplexity() const { return at("perplexity"); }  ///< exp of it
  // Against a reference.
  const Measured& kl() const { return at("kl_nats"); }               ///< nats per token
  const Measured& same_top() const { return at("same_top_share"); }  ///< share of tokens
};

/// Tails of the per-token distributions, by llama-perplexity's names.
struct Tails {
  double kl_max = 0, kl_99_9 = 0, kl_99 = 0, kl_median = 0;
  /// p(label) of the model minus that of the reference, in probability.
  double delta_p_mean = 0, delta_p_rms = 0, delta_p_5 = 0, delta_p_95 = 0;
};

struct TokenScore {
  int32_t token = 0;
  float log_p = 0;  ///< nats
};

/// What was scored.
struct DataFacts {
  std::string name;
  std::string hash;  ///< of the token ids
  int64_t context = 0;
  int64_t windows = 0;
};

struct Evaluation {
  std::string model_name;
  DataFacts data;
  Activations activations = Activations::kExact;
  Scores all;
  std::optional<Tails> tails;
  std::map<std::string, Scores> groups;
  /// Per window the scored tokens in order; filled only with EvaluateOptions::keep_tokens.
  std::vector<std::vector<TokenScore>> tokens;
};

struct EvaluateOptions {
  ComputeOptions compute;
  bool keep_tokens = false;  ///< keep every log-probability (memory grows with the text)
  /// How the inputs of the models' matrices (never the reference's) are rounded. kLlamaCpp: the answers of the engine,
  /// not only of the weights; matrices without a stored scheme stay exact. Integers: of all matrices, the output's too.
  Activations activations = Activations::kExact;
  ActivationRanges ranges = {};  ///< of static rounding, as activation_ranges finds them
  /// In place of activations, by model: chosen sites and the attention cache. Empty, or nullptr for a model: as above.
  std::vector<std::shared_ptr<const RoundedSites>> sites = {};
};

/// One Evaluation per model, all against `reference` (nullptr: none) over the same windows in one pass.
/// @cost one forward pass per model and one for the reference; all packed weights are in memory at once
/// @throws Error{kInvalidArgument} for tokens outside a vocabulary or vocabularies that differ
std::vector<Evaluation> evaluate(const std::vector<const Model*>& models, const Model* reference,
                                 const EvaluationData& data, const EvaluateOptions& options = {},
                                 ProgressSink* progress = nullptr);

}  // namespace vernier
