#include "activations/magnitudes.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

namespace vernier {

namespace {

// The exponent and the first nine bits of the fraction, as an integer, are the bin.
constexpr int kDroppedBits = 14, kExponentBias = 127;

}  // namespace

void MagnitudeHistogram::add(float x) {
  if (bins_.empty()) bins_.assign(static_cast<size_t>(kHighest - kLowest) * kPerOctave, 0);
  const auto bits = static_cast<int64_t>(std::bit_cast<uint32_t>(std::fabs(x)) >> kDroppedBits);
  const int64_t bin = bits - int64_t{kLowest + kExponentBias} * kPerOctave;
  ++bins_[static_cast<size_t>(std::clamp<int64_t>(bin, 0, static_cast<int64_t>(bins_.size()) - 1))];
  ++count_;
}

void MagnitudeHistogram::add(const MagnitudeHistogram& other) {
  if (other.bins_.empty()) return;
  if (bins_.empty()) bins_.assign(other.bins_.size(), 0);
  for (size_t i = 0; i < bins_.size(); ++i) bins_[i] += other.bins_[i];
  count_ += other.count_;
}

double MagnitudeHistogram::at_rank(int64_t rank) const {
  size_t bin = 0;
  while (rank >= bins_[bin]) rank -= bins_[bin++];
  const auto edge = [](size_t i) {
    return i == 0 ? 0.0
                  : std::ldexp(1.0 + static_cast<double>(i % kPerOctave) / kPerOctave,
                               kLowest + static_cast<int>(i / kPerOctave));
  };
  const double low = edge(bin), high = edge(bin + 1);
  return low + (high - low) * (static_cast<double>(rank) + 0.5) / static_cast<double>(bins_[bin]);
}

double MagnitudeHistogram::quantile(double share) const {
  if (count_ == 0) return std::numeric_limits<double>::quiet_NaN();
  const double place = static_cast<double>(count_ - 1) * share;
  const auto below = static_cast<int64_t>(place);
  const double low = at_rank(below), high = at_rank(std::min(below + 1, count_ - 1));
  return low + (high - low) * (place - static_cast<double>(below));
}

std::vector<int64_t> MagnitudeHistogram::half_octaves(int* first) const {
  // 2^(1/2) is no edge of a bin: bin 212 of an octave, which spans 1.4141 to 1.4160, counts as the upper half.
  constexpr size_t kHalf = 212;
  std::vector<int64_t> halves(static_cast<size_t>(kHighest - kLowest) * 2, 0);
  for (size_t i = 1; i < bins_.size(); ++i) halves[i / kPerOctave * 2 + (i % kPerOctave >= kHalf ? 1 : 0)] += bins_[i];
  while (!halves.empty() && halves.back() == 0) halves.pop_back();
  const auto begin = std::find_if(halves.begin(), halves.end(), [](int64_t n) { return n > 0; });
  *first = kLowest * 2 + static_cast<int>(begin - halves.begin());
  return {begin, halves.end()};
}

void LinearHistogram::add(float x) {
  if (range <= 0) return;
  const auto bin = static_cast<int64_t>(std::fabs(static_cast<double>(x)) / range * kBins);
  ++counts[static_cast<size_t>(std::min<int64_t>(bin, kBins - 1))];
}

void LinearHistogram::add(const LinearHistogram& other) {
  for (size_t i = 0; i < counts.size(); ++i) counts[i] += other.counts[i];
}

int64_t LinearHistogram::count() const { return std::accumulate(counts.begin(), counts.end(), int64_t{0}); }

}  // namespace vernier
