#pragma once

// How subcommands print a plan.

#include <cstdint>
#include <string>

#include "vernier/model.h"
#include "vernier/plan.h"

namespace vernier {

/// Table of a plan for a terminal.
std::string plan_table(const Plan& plan);

/// 8 bits per byte of the whole file over its weights.
double bits_per_weight(uint64_t file_bytes, const Model& model);

}  // namespace vernier
