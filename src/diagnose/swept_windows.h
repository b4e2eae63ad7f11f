#pragma once

// What a diagnosis knows of a sweep's windows beside their sums. Of models that see a window is an image.
//
//   const SweptWindows windows = swept_windows(data);  summarize(windows.clusters, sums);

#include <cstdint>
#include <string>
#include <vector>

#include "vernier/data.h"
#include "vernier/vision_inputs.h"

namespace vernier {

struct SweptWindows {
  std::vector<int64_t> clusters;    ///< what each is evidence of: copies share one
  std::vector<int64_t> scored;      ///< tokens; an image counts 1
  std::vector<std::string> groups;  ///< "" for none
};

SweptWindows swept_windows(const EvaluationData& data);
SweptWindows swept_windows(const AnswerData& data);

}  // namespace vernier
