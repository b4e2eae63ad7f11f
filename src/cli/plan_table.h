#pragma once

// How subcommands print a plan.

#include "cli/console.h"
#include "vernier/plan.h"

namespace vernier {

/// A plan as a table, and what stands in where schemes do not fit.
void print_plan(const Plan& plan, Console& console);
/// The latter alone.
void print_fallbacks(const Plan& plan, Console& console);

}  // namespace vernier
