#include "activations/massive.h"

#include <algorithm>
#include <cmath>
#include <tuple>

namespace vernier {

namespace {

constexpr size_t kLargestKept = 20, kMostFrequentKept = 8;

/// The most frequent first, of equals the smaller.
std::vector<std::pair<int64_t, int64_t>> most_frequent(const std::map<int64_t, int64_t>& counts) {
  std::vector<std::pair<int64_t, int64_t>> sorted(counts.begin(), counts.end());
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  sorted.resize(std::min(sorted.size(), kMostFrequentKept));
  return sorted;
}

}  // namespace

void MassiveCounter::keep_largest() {
  const auto place = [](const MassiveActivation& a) {
    return std::tuple(-std::fabs(a.value), a.window, a.position, a.channel);
  };
  std::sort(largest_.begin(), largest_.end(),
            [&](const MassiveActivation& a, const MassiveActivation& b) { return place(a) < place(b); });
  largest_.resize(std::min(largest_.size(), kLargestKept));
}

void MassiveCounter::add(int64_t window, const Slab& x, bool positions) {
  if (threshold_ <= 0) return;
  for (int64_t r = 0; r < x.rows; ++r)
    for (int64_t j = 0; j < x.cols; ++j) {
      const float value = x.row(r)[j];
      if (static_cast<double>(std::fabs(value)) <= threshold_) continue;
      ++count_;
      ++channels_[j];
      if (positions) ++positions_[r];
      windows_.insert(window);
      largest_.push_back({window, positions ? r : -1, j, value});
      if (largest_.size() > 50 * kLargestKept) keep_largest();
    }
  keep_largest();
}

void MassiveCounter::add(const MassiveCounter& other) {
  count_ += other.count_;
  windows_.insert(other.windows_.begin(), other.windows_.end());
  for (const auto& [position, count] : other.positions_) positions_[position] += count;
  for (const auto& [channel, count] : other.channels_) channels_[channel] += count;
  largest_.insert(largest_.end(), other.largest_.begin(), other.largest_.end());
  keep_largest();
}

MassiveActivations MassiveCounter::result() const {
  return {count_, static_cast<int64_t>(windows_.size()), most_frequent(positions_), most_frequent(channels_), largest_};
}

}  // namespace vernier
