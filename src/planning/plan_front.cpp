#include "vernier/plan_front.h"

#include <cmath>

#include "base/fail.h"
#include "plan/make_plan.h"
#include "planning/plan_size.h"
#include "planning/tensor_damages.h"

namespace vernier {

PlanFront plan_front(const Model& model, const TokenizerModel& tokenizer, const DamageTable& table,
                     const PlanningOptions& options, int count) {
  if (count < 2) fail(ErrorKind::kInvalidArgument, "plan: a front of {} budgets, expected 2 or more", count);
  const Target& target = find_target(options.target);
  const std::vector<TensorDamage> tensors = tensor_damages(model, table, target);
  PlanRequest request{.rules = planning_rules(options.target, options.codebooks),
                      .file_bytes = size_for(target, model, tokenizer, options)};
  request.method = method_for(table, options);
  PlanFront front{options.target, {}};
  const auto add = [&](uint64_t budget) {
    request.budget_bytes = budget;
    request.budget_text = std::to_string(budget);
    FrontPoint point{0, 0, make_plan(tensors, request)};
    point.bytes = request.file_bytes(point.plan);
    point.bits_per_weight = bits_per_weight(point.bytes, model);
    point.plan.provenance = table.provenance;
    const bool better =
        front.points.empty() || point.plan.predicted_kl_nats < front.points.back().plan.predicted_kl_nats;
    if (better && (front.points.empty() || point.bytes > front.points.back().bytes))
      front.points.push_back(std::move(point));
  };
  const auto smallest = static_cast<double>(smallest_file(tensors, request));
  request.budget_bytes = uint64_t{1} << 60;  // no limit
  request.budget_text = std::to_string(request.budget_bytes);
  const auto largest = static_cast<double>(request.file_bytes(make_plan(tensors, request)));
  for (int i = 0; i < count; ++i)
    add(static_cast<uint64_t>(std::ceil(smallest * std::pow(largest / smallest, i / (count - 1.0)))));
  return front;
}

}  // namespace vernier
