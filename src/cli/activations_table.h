#pragma once

// What `vernier activations` prints.

#include "cli/console.h"
#include "vernier/activations.h"

namespace vernier {

void print_activations(const ActivationStudy& study, Console& console);

}  // namespace vernier
