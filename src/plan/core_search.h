#pragma once

// The exact part of the solver. It starts from the linear relaxation's rounded choice and decides one class after the
// other, those first whose alternatives cost least at the budget's price. All partial choices of a level are kept side
// by side, so that one that is neither smaller nor better than another is dropped (layers of equal shape make that the
// common case); the rest is bounded by the exact linear relaxation of the undecided classes.

#include <cstdint>
#include <vector>

#include "plan/choice_class.h"

namespace vernier::internal {

/// One option per class, as indices into ChoiceClass::options.
using ClassChoice = std::vector<uint32_t>;

struct Relaxation {
  ClassChoice base;    ///< the relaxation without its one fractional class; fits
  uint64_t spare = 0;  ///< bytes that base leaves
  double price = 0;    ///< nats per byte of the first hull step that does not fit; 0 when all fit
  double bound = 0;    ///< no choice has less damage
};

/// @param spare_bytes budget above everything at its smallest
Relaxation relax(const std::vector<ChoiceClass>& classes, uint64_t spare_bytes);

struct SearchResult {
  ClassChoice choice;
  double lower_bound = 0;
  uint64_t nodes = 0;
};

/// @param incumbent a choice that fits, the best known so far
SearchResult search_core(const std::vector<ChoiceClass>& classes, const Relaxation& relaxation,
                         const ClassChoice& incumbent, const KnapsackOptions& options);

/// Total damage, summed in the order of classes.
double total_damage(const std::vector<ChoiceClass>& classes, const ClassChoice& choice);
/// Total bytes above the smallest, saturating.
uint64_t total_bytes(const std::vector<ChoiceClass>& classes, const ClassChoice& choice);

}  // namespace vernier::internal
