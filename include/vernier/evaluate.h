#pragma once

// How good a model is on a text, and how far from a reference: negative log-likelihood, perplexity, KL divergence,
// same-top-1, per token and document, whole and per group, each with a standard error over windows or documents, and
// bits per byte.
//
//   const Evaluation e = evaluate({&quantized}, &model, data, {})[0];
//   e.all.perplexity();  e.all.kl->mean;  e.groups.at("fi").kl->mean;
//
// The reference runs beside the models and is compared tile by tile: no logit files. Of the text, 8 bytes per scored
// token and model stay in memory, for the tails.

#include <array>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "vernier/compute.h"
#include "vernier/data.h"
#include "vernier/model.h"
#include "vernier/progress.h"

namespace vernier {

/// A mean and its standard error over distinct windows or documents (copies of one count as one); NaN (null in JSON) for
/// a single one, which tells nothing.
struct Measured {
  double mean = 0;
  double standard_error = 0;
};

/// What a set of scored tokens says. Units: nats; per predicted token unless the name says otherwise.
struct Scores {
  int64_t tokens = 0;
  int64_t documents = 0;           ///< clusters with text of known length, 0 for running text
  int64_t distinct_documents = 0;  ///< without copies: what standard errors are over
  int64_t bytes = 0;               ///< UTF-8, 0 for running text
  Measured nll;
  Measured nll_per_document;
  Measured nll_bits_per_byte;  ///< of documents
  // Against a reference; absent without one.
  std::optional<Measured> kl, delta_nll, same_top, delta_nll_per_document;
  std::optional<Measured> reference_nll;
  std::optional<Measured> reference_nll_bits_per_byte, delta_nll_bits_per_byte;  ///< of documents

  double perplexity() const;
  double perplexity_standard_error() const;
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

struct Evaluation {
  std::string model_name, data_name, data_hash;
  int64_t context = 0;
  int64_t windows = 0;
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
  /// kLlamaCpp: the answers of the engine, not only of the weights: the models' activations (never the reference's) are
  /// rounded as its CPU kernels do; matrices without a stored scheme stay exact.
  Activations activations = Activations::kExact;
};

/// One Evaluation per model, all against `reference` (nullptr: none) over the same windows in one pass.
/// @cost one forward pass per model and one for the reference; all packed weights are in memory at once
/// @throws Error{kInvalidArgument} for tokens outside a vocabulary or vocabularies that differ
std::vector<Evaluation> evaluate(const std::vector<const Model*>& models, const Model* reference,
                                 const EvaluationData& data, const EvaluateOptions& options = {},
                                 ProgressSink* progress = nullptr);

/// Keys carry their unit: perplexity, nll_nats, kl_nats, kl_nats_stderr, same_top_share, groups.{name}.kl_nats ...
nlohmann::ordered_json evaluation_to_json(const Evaluation& evaluation);
/// @throws Error{kBadFile} naming `origin` and the key
Evaluation evaluation_from_json(const nlohmann::ordered_json& json, const std::string& origin);

}  // namespace vernier
