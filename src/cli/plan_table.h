#pragma once

// How subcommands print a plan.

#include "cli/console.h"
#include "vernier/plan_front.h"

namespace vernier {

/// A plan as a table, and what stands in where schemes do not fit.
void print_plan(const Plan& plan, Console& console);
/// The plans of all budgets as a table.
void print_front(const PlanFront& front, Console& console);
/// What stands in where schemes do not fit, alone.
void print_fallbacks(const Plan& plan, Console& console);

}  // namespace vernier
