#include "calibrate/sum_in_order.h"

#include <algorithm>

#include "ops/parallel.h"

namespace vernier {

SumsOfSites sum_in_order(int64_t count, int workers, const std::function<SumsOfSites(int64_t, int)>& sums_of,
                         const std::function<void(int64_t)>& on_done) {
  SumsOfSites total;
  const int64_t batch = 4 * workers;
  for (int64_t first = 0; first < count; first += batch) {
    std::vector<SumsOfSites> partial(static_cast<size_t>(std::min(batch, count - first)));
    parallel_for(static_cast<int64_t>(partial.size()), workers,
                 [&](int64_t i, int worker) { partial[static_cast<size_t>(i)] = sums_of(first + i, worker); });
    for (const SumsOfSites& one : partial)
      for (const auto& [site, sums] : one) total[site].add(sums);
    on_done(std::min(count, first + batch));
  }
  return total;
}

ChannelStatistics statistics_of(const SiteSums& sums, double rows) {
  ChannelStatistics channel;
  for (size_t j = 0; j < sums.squares.size(); ++j) {
    channel.mean_square.push_back(static_cast<float>(sums.squares[j] / rows));
    channel.mean_abs.push_back(static_cast<float>(sums.magnitudes[j] / rows));
    channel.abs_max.push_back(sums.largest[j]);
  }
  return channel;
}

}  // namespace vernier
