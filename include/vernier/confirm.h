#pragma once

// From a table of foretold damage to one that a plan can rest on: what lies outside the layers and a random sample of
// matrices are measured exactly, which tells how far the forecast is off; then those matrices whose scheme hangs on that,
// the dearest doubt first, until what doubt is left can cost next to nothing.
//
//   const Confirmation c = confirm(model, tokenizer_model, calibration, windows, table, {.budget = "+10%"});
//   const Plan plan = plan_within(model, tokenizer_model, c.table, "+10%");

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "vernier/damage_table.h"
#include "vernier/planning.h"

namespace vernier {

struct ConfirmOptions {
  std::string budget = "+10%";
  PlanningOptions planning{};
  std::string scheme = "gguf:q4_k";  ///< of the exact measurements
  int64_t sample = 8;                ///< matrices of layers drawn at random
  /// Doubt that may be left: what plans of the true damage would save on average, as a share of this plan's KL.
  double tolerance = 0.01;
  uint64_t seed = 0;
  ComputeOptions compute{};
  /// Asked before each round of measuring with its share of a whole exact sweep; false: enough. Absent: always goes on.
  std::function<bool(double)> may_go_on{};
};

struct ConfirmedMatrix {
  enum class Why { kOutside, kSample, kOnTheCut };
  TensorId tensor;
  Why why = Why::kSample;
  std::string scheme;
  double foretold = 0;       ///< nats per token
  Measured exact;            ///< nats per token
  Measured delta_nll;        ///< nats per token
  Measured same_top;         ///< share of tokens
  int64_t windows = 0;       ///< that it took
  double low = 0, high = 0;  ///< 95% over all looks
};

struct Confirmation {
  DamageTable table;  ///< measured matrices scaled to what was measured, the others by the factor of their depth
  std::vector<ConfirmedMatrix> matrices;
  /// Exact over foretold of matrices of layers, as a line in logarithms over the depth: at the middle, and the last layer's
  /// logarithm less the first's.
  double factor = 1, factor_slope = 0;
  double factor_spread = 0;  ///< standard deviation of its logarithm about that line
  double doubt =
      0;  ///< nats that plans of the true damage would save on average; NaN: time was up before anything told
  bool complete = true;   ///< false: ended before the doubt was within the tolerance
  double control_kl = 0;  ///< nats; must be 0
};

/// @throws Error{kInvalidArgument} when the table is of another model; {kInfeasible} as plan_within
/// @cost isolated damage of the measured matrices, each on as many windows as settle its scheme
Confirmation confirm(const Model& model, const TokenizerModel& tokenizer, const Calibration& calibration,
                     const EvaluationData& data, const DamageTable& table, const ConfirmOptions& options = {},
                     ProgressSink* progress = nullptr);

/// The same of a model that sees: an image is a window.
/// @throws Error{kInvalidArgument} also where the data are not what the model answers to
Confirmation confirm(const Model& model, const Calibration& calibration, const AnswerData& data,
                     const DamageTable& table, const ConfirmOptions& options = {}, ProgressSink* progress = nullptr);

nlohmann::ordered_json confirmation_to_json(const Confirmation& confirmation);
/// @throws Error{kBadFile} naming `origin` and the key
Confirmation confirmation_from_json(const nlohmann::ordered_json& json, const std::string& origin);

}  // namespace vernier
