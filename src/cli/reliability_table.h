#pragma once

// Reliability for a terminal: a sentence per model and dimension, then the rows.

#include "cli/console.h"
#include "vernier/reliability.h"

namespace vernier {

void print_reliability(const Reliability& reliability, Console& console);

}  // namespace vernier
