#pragma once

// Which examples were answered rightly, as text of 0 and 1: what parts keep of them.

#include <span>
#include <string>
#include <vector>

namespace vernier {

/// Of logits [labels.size(), classes]: the first of the greatest ones is the answer.
std::string correctness(std::span<const float> logits, std::span<const int32_t> labels);
std::vector<double> as_numbers(const std::string& correct);
/// Example by example. Empty for nothing.
std::vector<double> mean_of(const std::vector<std::string>& several);

}  // namespace vernier
