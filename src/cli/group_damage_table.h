#pragma once

// How `vernier diagnose` prints component x group.

#include "cli/console.h"
#include "vernier/diagnose.h"

namespace vernier {

/// Per group what hurts it most, and whether components share their damage out differently; nothing without groups.
void print_groups(const Diagnosis& diagnosis, Console& console);

}  // namespace vernier
