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

/// Which half the tokens of a window are in.
size_t half_of(const EvaluationData& data, const TokenWindow& window);

class TokenPredictions {
 public:
  /// @throws Error{kUnsupported} for models that are no language models
  TokenPredictions(const std::vector<ReliabilitySubject>& subjects, const ComputeOptions& compute);

  /// [model]. Tokens are in the order of the windows.
  std::vector<TokenSayings> on(const EvaluationData& data, SharedProgress& progress);
  /// Once each half's logits are divided by its temperature, [model][half].
  std::vector<TokenSayings> on(const EvaluationData& data, const std::vector<std::array<double, 2>>& temperatures,
                               SharedProgress& progress);

 private:
  using Temperatures = std::vector<std::array<double, 2>>;
  std::vector<TokenSayings> pass(const EvaluationData& data, const Temperatures* temperatures,
                                 SharedProgress& progress);
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
