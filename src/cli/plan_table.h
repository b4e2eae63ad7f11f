#pragma once

// How subcommands print a plan.

#include "cli/console.h"
#include "vernier/plan_front.h"

namespace vernier {

/// A plan as a table, and what stands in where schemes do not fit.
void print_plan(const Plan& plan, Console& console);
/// What a plan for groups means to each of them.
void print_objective(const PlannedObjective& objective, Console& console);
/// The plans of all budgets as a table, beside the limit where it is known.
void print_front(const PlanFront& front, const Limit* limit, Console& console);
/// What separates a KL from the limit, in a line.
void print_limit_shares(const LimitShares& shares, Console& console);
/// What stands in where schemes do not fit, alone.
void print_fallbacks(const Plan& plan, Console& console);

}  // namespace vernier
