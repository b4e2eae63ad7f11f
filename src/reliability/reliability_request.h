#pragma once

// What may be asked of the reliability of a model: known before others are made and images are read.

#include "vernier/measure_reliability.h"

namespace vernier {

/// Of a model that sees. @throws Error{kInvalidArgument} for counts, radii, dimensions, corruptions and attacks that there are
///         not, and for "out_of_distribution" without images outside
void check_image_request(const ReliabilityRequest& request);

/// Of a language model. @param perturbed whether text written carelessly can be had
/// @throws Error{kInvalidArgument} for counts out of range, and for dimensions, corruptions, attacks and images outside that only models that see have
void check_text_request(const ReliabilityRequest& request, bool perturbed);

/// Of the dimensions of text. All where the request names none.
bool wants_dimension(const ReliabilityRequest& request, std::string_view key);

}  // namespace vernier
