#pragma once

// What measured parts depend on of a model that is measured.

#include <string>

#include "vernier/measure_reliability.h"

namespace vernier {

/// A hash of its name, its tensors and how its inputs are rounded. @cost reads all tensors
std::string identity_of_subject(const ReliabilitySubject& subject);
/// Of the arithmetic: parts of one type and device are not those of another.
std::string identity_of_compute(const ComputeOptions& compute);
/// What the others are compared with. @cost reads all tensors
void name_first(const std::vector<ReliabilitySubject>& subjects, Reliability& result);

}  // namespace vernier
