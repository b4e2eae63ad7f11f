// What a limit takes on top of a screen, from shapes.

#include <algorithm>
#include <cmath>
#include <set>

#include "vernier/screen.h"

namespace vernier {

double limit_core_seconds(const Model& model) {
  constexpr double kPerSecond = 4e9;  // of LAPACK, half at the speed of memory
  constexpr double kMixtures = 50;    // of the vocabulary's pencil that usually occur
  double cubes = (model.config().tied_embedding ? kMixtures : 2) * std::pow(model.config().hidden, 3);
  std::set<SiteId> seen;
  for (const TensorId& id : model.matrices()) {
    if (id.layer < 0) continue;
    const std::vector<int64_t> shape = model.shape(id);
    cubes += std::pow(shape[0], 3);
    if (seen.insert(*model.blueprint().at(id).input).second) cubes += std::pow(shape[1], 3);
  }
  return 4 * cubes / 3 / kPerSecond;
}

int64_t tokens_for_limit(const Model& model) {
  int64_t widest = model.config().hidden;
  for (const TensorId& id : model.matrices()) {
    if (id.layer < 0) continue;
    const std::vector<int64_t> shape = model.shape(id);
    int64_t own = std::max(shape[0], shape[1]);
    if (id.expert >= 0) {  // sees its share where all are chosen alike; one that is chosen seldom still has too few
      const ExpertsConfig& experts = model.config().layer(id.layer).feed_forward.experts;
      own = own * experts.count / experts.used;
    }
    widest = std::max(widest, own);
  }
  return 4 * widest;
}

}  // namespace vernier
