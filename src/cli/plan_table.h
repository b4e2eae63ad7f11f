#pragma once

// How subcommands print a plan.

#include <cstdint>
#include <string>

#include "cli/command.h"
#include "vernier/model.h"
#include "vernier/plan.h"

namespace vernier {

/// A plan as a table, and what stands in where schemes do not fit.
void print_plan(const Plan& plan, Console& console);
/// The latter alone.
void print_fallbacks(const Plan& plan, Console& console);

/// 8 bits per byte of the whole file over its weights.
double bits_per_weight(uint64_t file_bytes, const Model& model);

}  // namespace vernier
