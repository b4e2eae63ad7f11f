#pragma once

// A second round: damage measured around a plan instead of around the full-precision model. A table says what each matrix
// does alone; together they do more, or less. So the exchanges that the plan came nearest to making are made in the
// quantized model, one at a time, what they change is measured, and the budget is spent once more by what was found.
//
//   const Refinement r = refine(model, tokenizer_model, calibration, windows, table, {.budget = "+10%"});
//   if (r.kept) print(r.after.mean, "in place of", r.before.mean);
//   const Plan plan = plan_within(model, tokenizer_model, r.table, "+10%");

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "vernier/damage_table.h"
#include "vernier/planning.h"

namespace vernier {

struct RefineOptions {
  std::string budget = "+10%";
  PlanningOptions planning{};
  int64_t exchanges = 32;  ///< that are measured
  ComputeOptions compute{};
};

/// One matrix of the plan, or all that the target's file holds in one type, in another scheme, all others as planned.
struct MeasuredExchange {
  std::vector<TensorId> tensors;
  std::string from, to;
  double foretold = 0;  ///< nats per token that it adds, by the table
  double measured = 0;  ///< the same around the plan
};

struct Refinement {
  DamageTable table;  ///< with what was measured; the one that was given where that did not lead to a better plan
  std::vector<MeasuredExchange> exchanges;  ///< those nearest to being made first
  double factor = 1;                        ///< measured over foretold, over all exchanges: least squares
  Measured before,
      after;  ///< KL of the plan by the given table and of the new one on windows that chose neither, nats per token
  int64_t changed = 0;  ///< matrices that the two plans hold in different schemes
  bool kept = false;    ///< the new one is better there
};

/// Of the windows every other one measures the exchanges, and the rest judge the two plans; values are searched by
/// importance, whatever the plan's method. A matrix's differences are scaled by the mean of a normal posterior of measured
/// over foretold: prior the ratio of all exchanges and half of it, noise the median of what they are off by, unless it is far beyond.
/// @cost a forward pass of half of the windows for each exchange, and two of the other half
/// @throws Error{kInvalidArgument} for fewer than two windows; otherwise as plan_within and quantize
Refinement refine(const Model& model, const TokenizerModel& tokenizer, const Calibration& calibration,
                  const EvaluationData& data, const DamageTable& table, const RefineOptions& options = {},
                  ProgressSink* progress = nullptr);

nlohmann::ordered_json refinement_to_json(const Refinement& refinement);
/// @throws Error{kBadFile} naming `origin` and the key
Refinement refinement_from_json(const nlohmann::ordered_json& json, const std::string& origin);

}  // namespace vernier
