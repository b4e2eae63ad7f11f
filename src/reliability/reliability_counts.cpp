#include "reliability/reliability_counts.h"

#include "base/fail.h"
#include "vernier/corruptions.h"

namespace vernier {

void check_counts(const ReliabilityOptions& options) {
  constexpr int64_t kMost = int64_t{1} << 40;
  struct Count {
    const char* what;
    int64_t value, least, most;
  };
  const Count counts[] = {{"--severities", options.severities, 1, kSeverities},
                          {"--draws", options.bootstrap_draws, 1, kMost},
                          {"--corruption-images", options.corruption_images, 0, kMost},
                          {"--feature-images", options.feature_images, 0, kMost},
                          {"--control-seeds", options.control_seeds, 0, kMost},
                          {"--attack-images", options.attack_images, 0, kMost},
                          {"--attack-steps", options.attack_steps, 1, kMost},
                          {"--attack-restarts", options.attack_restarts, 1, kMost},
                          {"--square-queries", options.square_queries, 1, kMost},
                          {"bins of confidence", options.bins, 1, kMost}};
  for (const Count& count : counts)
    if (count.value < count.least || count.value > count.most)
      fail(ErrorKind::kInvalidArgument, "reliability: {}: got {}, expected {}", count.what, count.value,
           count.most == kMost ? fmt::format("{} or more", count.least)
                               : fmt::format("{} to {}", count.least, count.most));
}

}  // namespace vernier
