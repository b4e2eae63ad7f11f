#pragma once

// Every budget at once: the plans of least predicted damage between the smallest file and the one that nothing improves.
// In: as plan_within, without a budget. Out: a PlanFront (front.json).
//
//   for (const FrontPoint& point : plan_front(model, tokenizer_model, table).points)
//     print(point.bytes, point.plan.predicted_kl_nats);

#include <cstdint>
#include <nlohmann/json.hpp>
#include <vector>

#include "vernier/limit.h"
#include "vernier/planning.h"

namespace vernier {

struct FrontPoint {
  uint64_t bytes = 0;          ///< of the file, as Target::counted_bytes
  double bits_per_weight = 0;  ///< of the whole file
  Plan plan;
};

struct PlanFront {
  std::string target;
  std::vector<FrontPoint> points;  ///< by rising bytes and falling damage
};

/// Plans for `count` budgets at equal ratios between the smallest file and that of least damage, those dropped that are
/// no better than a smaller one.
/// @throws Error{kInvalidArgument} as plan_within, or for fewer than 2 budgets
/// @cost `count` plans: about 10 ms each for 200 matrices
PlanFront plan_front(const Model& model, const TokenizerModel& tokenizer, const DamageTable& damage,
                     const PlanningOptions& options = {}, int count = 32);

/// Without the plans themselves: bytes, bits per weight, predicted KL, its proven bound, how many weights have which
/// scheme, and with a limit what any code could reach in their bytes.
nlohmann::ordered_json front_to_json(const PlanFront& front, const Limit* limit = nullptr);

}  // namespace vernier
