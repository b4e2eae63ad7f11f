#pragma once

// The dimension "out_of_distribution": how well each score tells the data from what the models were never taught.

#include <string>
#include <vector>

#include "vernier/reliability.h"

namespace vernier {

/// One model's logits of what is inside and outside of its distribution. @shape [examples, classes]
struct DetectionSubject {
  std::string name;
  int64_t classes = 0;
  std::vector<float> inside, outside;
};

/// @throws Error{kInvalidArgument} for models of different numbers of examples
ReliabilityDimension detection_dimension(const std::vector<DetectionSubject>& subjects,
                                         const ReliabilityOptions& options);

}  // namespace vernier
