#pragma once

// How much of what a reference finds most likely a model finds most likely too.

#include "evaluate/measure.h"

namespace vernier {

/// |top5(reference) ∩ top5(model)| / 5 of the next tokens; of equally likely ones the first by id count.
extern const Measure kTop5Overlap;

}  // namespace vernier
