#include "limit/spectrum.h"

#include <algorithm>

#include "base/fail.h"

namespace vernier {

namespace {
constexpr int64_t kKeptOctaves = 40;  // the highest direction gets 20 bits before the lowest that is kept gets any
constexpr double kDigits = 1e4;       // of a count, which keeps the file small
}  // namespace

SpectrumCounter::SpectrumCounter() : counts_(static_cast<size_t>(kLevels)) {}

void SpectrumCounter::outside(double log2_nats) {
  if (log2_nats >= kHighest || std::isnan(log2_nats))
    fail(ErrorKind::kBadFile, "limit: damage of 2^{} nats per token in one direction; the model's gradients overflow",
         log2_nats);
}

void SpectrumCounter::add(const SpectrumCounter& other) {
  for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
}

void SpectrumCounter::write(DamageSpectrum& spectrum) const {
  spectrum.directions.clear();
  spectrum.first_level = 0;
  int64_t last = kLevels - 1;
  while (last >= 0 && counts_[static_cast<size_t>(last)] == 0) --last;
  if (last < 0) return;
  int64_t first = std::max<int64_t>(0, last - kKeptOctaves * kLevelsPerOctave);
  while (counts_[static_cast<size_t>(first)] == 0) ++first;
  spectrum.first_level = int64_t{kLowest} * kLevelsPerOctave + first;
  for (int64_t i = first; i <= last; ++i)
    spectrum.directions.push_back(std::round(counts_[static_cast<size_t>(i)] * kDigits) / kDigits);
}

}  // namespace vernier
