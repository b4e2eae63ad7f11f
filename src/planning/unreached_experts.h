#pragma once

// Experts that no token of the text came to. Nothing is known of them, which reads like no damage at all: a plan would
// give them its fewest bits, whatever the texts after it ask of them.

#include <string>

#include "vernier/damage_table.h"

namespace vernier {

/// Takes a matrix of an expert that no scheme hurts for as sensitive as the least of its layer and role that was reached,
/// scheme by scheme, and notes which experts those are in the table's provenance ("unreached_experts"). Where none of a
/// layer was reached nothing changes.
void fill_in_unreached(DamageTable& table);

/// What to tell of it; empty where every expert was reached.
std::string unreached_note(const DamageTable& table);

}  // namespace vernier
