#pragma once

// What several language models say of the next token, at every scored one of a text: logits pass by and are not kept.

#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "base/shared_progress.h"
#include "engine/engine.h"
#include "reliability/streamed_temperature.h"
#include "vernier/measure_reliability.h"

namespace vernier {

/// Of one model. Its halves are those of the windows of even and odd clusters, so that what depends on each other is not
/// on both sides.
struct TokenSayings {
  Predictions predictions;
  std::array<StreamedTemperature, 2> halves;
};

/// Adds those of further tokens.
void append_sayings(TokenSayings& all, const TokenSayings& more);

/// Which half the tokens of a window are in.
size_t half_of(const EvaluationData& data, const TokenWindow& window);

class TokenPredictions {
 public:
  /// @throws Error{kUnsupported} for models that are no language models
  TokenPredictions(const std::vector<ReliabilitySubject>& subjects, const ComputeOptions& compute);

  using Temperatures = std::vector<std::array<double, 2>>;  ///< [model][half]

  /// [model], of windows `begin` to `end`. Tokens are in the order of the windows.
  /// @param temperatures that each half's logits are divided by; nullptr: as they are
  std::vector<TokenSayings> on(const EvaluationData& data, size_t begin, size_t end, const Temperatures* temperatures,
                               SharedProgress& progress);

 private:
  void prepare(int64_t positions);
  std::vector<TokenSayings> of_window(const EvaluationData& data, const TokenWindow& window, size_t index,
                                      const Temperatures* temperatures, Arena& arena) const;

  const std::vector<ReliabilitySubject>& subjects_;
  const ComputeType type_;
  std::unique_ptr<Engine> engine_;
  int64_t positions_ = 0;
  std::vector<std::unique_ptr<PreparedModel>> models_;
  std::vector<Arena> arenas_;
};

}  // namespace vernier
