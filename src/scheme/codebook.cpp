#include "scheme/codebook.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "scheme/lanes.h"
#include "scheme/scale_search.h"

namespace vernier {

namespace {

constexpr int kMostCombinations = 84, kMostHalf = 4, kMostLevels = 8;  // 81 of three levels, to a multiple of four

float least(const Lanes& lanes) { return std::min(std::min(lanes[0], lanes[1]), std::min(lanes[2], lanes[3])); }

}  // namespace

/// What the levels of a point's two halves would cost, by combination; infinite behind the last one, so that four at a
/// time are whole. Flipped: with one sign other than the weight's, the cheapest.
struct Codebook::Halves {
  using Costs = std::array<float, kMostCombinations>;
  std::array<Costs, 2> plain, flipped;
  std::array<std::array<float, kMostLevels>, 2 * kMostHalf> flip;  // what flipping a sign adds, by weight and level
  uint8_t negative = 0;                                            // bit i: weight i is
};

Codebook::Codebook(std::span<const uint16_t> points, std::span<const float> magnitudes, Signs signs)
    : magnitudes_(magnitudes.begin(), magnitudes.end()),
      dims_(magnitudes.size() == 3 ? 8 : 4),
      half_(dims_ / 2),
      combinations_(1),
      even_(signs == Signs::kEven) {
  const auto count = static_cast<int>(magnitudes_.size());
  for (int i = 0; i < half_; ++i) combinations_ *= count;

  const int bits = 16 / dims_;
  for (const uint16_t point : points)
    for (int i = 0; i < dims_; ++i) levels_.push_back(static_cast<uint8_t>(point >> (bits * i) & ((1 << bits) - 1)));

  point_of_.assign(static_cast<size_t>(combinations_ * combinations_), -1);
  const auto size = static_cast<int>(points.size());
  for (int p = 0; p < size; ++p) {
    const uint8_t* levels = &levels_[static_cast<size_t>(p * dims_)];
    point_of_[static_cast<size_t>(combination(levels) * combinations_ + combination(levels + half_))] =
        static_cast<int16_t>(p);
  }
  for (int low = 0; low < combinations_; ++low) {
    first_.push_back(static_cast<uint16_t>(by_low_.size()));
    for (int high = 0; high < combinations_; ++high)
      if (const int p = point_of_[static_cast<size_t>(low * combinations_ + high)]; p >= 0)
        by_low_.push_back({.high = static_cast<uint8_t>(high), .index = static_cast<uint16_t>(p)});
  }
  // Also of the combinations that only fill up four.
  first_.resize(kMostCombinations + 1, static_cast<uint16_t>(by_low_.size()));
}

double Codebook::bits() const {
  const double points = static_cast<double>(levels_.size()) / dims_;
  return std::log2(points) / dims_ + (even_ ? 7.0 / 8.0 : 1.0);
}

float Codebook::level(Code code) const {
  const auto count = static_cast<Code>(magnitudes_.size());
  return code < count ? -magnitudes_[count - 1 - code] : magnitudes_[code - count];
}

void Codebook::nearest(float scale, const float* x, int64_t n, Code* codes) const {
  const auto count = static_cast<Code>(magnitudes_.size());
  const float inverse = inverse_scale(scale);
  for (int64_t i = 0; i < n; ++i) {
    const float t = search_value(x[i]) * inverse, size = std::fabs(t);
    Code level = 0;
    while (level + 1 < count && size > 0.5f * (magnitudes_[level] + magnitudes_[level + 1])) ++level;
    codes[i] = t < 0.0f ? count - 1 - level : count + level;
  }
}

int Codebook::combination(const uint8_t* levels) const {
  int c = 0;
  for (int i = half_ - 1; i >= 0; --i) c = c * static_cast<int>(magnitudes_.size()) + levels[i];
  return c;
}

int Codebook::point_of(const uint8_t* levels) const {
  return point_of_[static_cast<size_t>(combination(levels) * combinations_ + combination(levels + half_))];
}

/// The point of least cost. First halves that could not be better with the cheapest of all second ones are passed over;
/// to begin with the cheapest makes that most of them.
Codebook::Found Codebook::find(const float* low, const float* high) const {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  std::array<float, kMostCombinations / kLanes> of_four;
  const int fours = (combinations_ + kLanes - 1) / kLanes;
  Lanes least_low = Lanes{} + kInfinity, least_high = Lanes{} + kInfinity;
  for (int f = 0; f < fours; ++f) {
    const Lanes first = load(low + f * kLanes), second = load(high + f * kLanes);
    least_low = first < least_low ? first : least_low;
    least_high = second < least_high ? second : least_high;
    of_four[static_cast<size_t>(f)] = least(first);
  }
  const float cheapest = least(least_high), cheapest_low = least(least_low);
  int cheapest_four = 0;
  while (cheapest_four < fours - 1 && of_four[static_cast<size_t>(cheapest_four)] != cheapest_low) ++cheapest_four;
  Found best{.cost = kInfinity, .index = 0};
  const auto visit = [&](int four) {
    for (int l = four * kLanes; l < (four + 1) * kLanes; ++l) {
      if (!(low[l] + cheapest < best.cost)) continue;
      for (int at = first_[static_cast<size_t>(l)]; at < first_[static_cast<size_t>(l) + 1]; ++at) {
        const Point& point = by_low_[static_cast<size_t>(at)];
        const float cost = low[l] + high[point.high];
        if (cost < best.cost) best = {.cost = cost, .index = point.index};
      }
    }
  };
  visit(cheapest_four);
  for (int f = 0; f < fours; ++f)
    if (of_four[static_cast<size_t>(f)] + cheapest < best.cost) visit(f);
  return best;
}

Codebook::Found Codebook::choose(const Halves& halves, bool flipped) const {
  if (!flipped) return find(halves.plain[0].data(), halves.plain[1].data());
  const Found first = find(halves.flipped[0].data(), halves.plain[1].data());
  const Found second = find(halves.plain[0].data(), halves.flipped[1].data());
  return second.cost < first.cost ? second : first;
}

/// The point's codes; of a flipped one the weight where that costs least has the other sign.
void Codebook::take(const Halves& halves, const Found& found, bool flipped, bool mirrored, Code* codes) const {
  const uint8_t* levels = &levels_[static_cast<size_t>(found.index * dims_)];
  int other = -1;
  if (flipped) {
    other = 0;
    for (int i = 1; i < dims_; ++i) {
      const auto cost = [&](int w) { return halves.flip[static_cast<size_t>(w)][levels[w]]; };
      if (cost(i) < cost(other)) other = i;
    }
  }
  const auto count = static_cast<Code>(magnitudes_.size());
  for (int i = 0; i < dims_; ++i) {
    const bool negative = (((halves.negative >> i & 1) != 0) != (i == other)) != mirrored;
    codes[i] = negative ? count - 1 - levels[i] : count + levels[i];
  }
}

void Codebook::tabulate(float size, const float* x, const float* w, Halves& halves) const {
  const auto count = static_cast<int>(magnitudes_.size());
  std::array<std::array<float, kMostLevels>, 2 * kMostHalf> cost;
  halves.negative = 0;
  for (int i = 0; i < dims_; ++i) {
    const auto at = static_cast<size_t>(i);
    const float value = search_value(x[i]), magnitude = std::fabs(value);
    if (value < 0.0f) halves.negative = static_cast<uint8_t>(halves.negative | 1 << i);
    for (int l = 0; l < count; ++l) {
      const float stored = size * magnitudes_[static_cast<size_t>(l)], error = stored - magnitude;
      cost[at][static_cast<size_t>(l)] = w[i] * error * error;
      halves.flip[at][static_cast<size_t>(l)] = 4.0f * w[i] * stored * magnitude;
    }
  }
  for (int h = 0; h < 2; ++h) {
    // Of one weight more at a time: combinations count its level the highest.
    float* plain = halves.plain[static_cast<size_t>(h)].data();
    std::fill(plain + combinations_, plain + kMostCombinations, std::numeric_limits<float>::infinity());
    plain[0] = 0.0f;
    for (int i = 0, so_far = 1; i < half_; ++i, so_far *= count) {
      const float* of_weight = cost[static_cast<size_t>(h * half_ + i)].data();
      for (int l = count - 1; l >= 0; --l)
        for (int c = 0; c < so_far; ++c) plain[l * so_far + c] = plain[c] + of_weight[l];
    }
  }
}

void Codebook::tabulate_flipped(Halves& halves) const {
  const auto count = static_cast<int>(magnitudes_.size());
  for (size_t h = 0; h < 2; ++h) {
    float* flipped = halves.flipped[h].data();
    std::fill(flipped, flipped + kMostCombinations, std::numeric_limits<float>::infinity());
    for (int i = 0, so_far = 1; i < half_; ++i, so_far *= count) {
      const float* of_weight = halves.flip[h * static_cast<size_t>(half_) + static_cast<size_t>(i)].data();
      for (int l = count - 1; l >= 0; --l)
        for (int c = 0; c < so_far; ++c) flipped[l * so_far + c] = std::min(flipped[c], of_weight[l]);
    }
    for (int c = 0; c < combinations_; ++c) flipped[c] += halves.plain[h][static_cast<size_t>(c)];
  }
}

void Codebook::nearest_jointly(float scale, const float* x, const float* w, int64_t n, Code* codes) const {
  const float size = std::fabs(scale);
  const bool mirrored = scale < 0.0f;
  Halves halves[2];
  for (int64_t at = 0; at < n; at += joint()) {
    tabulate(size, x + at, w + at, halves[0]);
    if (!even_ || dims_ == kRun) {
      const bool flipped = even_ && std::popcount(halves[0].negative) % 2 != 0;
      if (flipped) tabulate_flipped(halves[0]);
      take(halves[0], choose(halves[0], flipped), flipped, mirrored, codes + at);
      continue;
    }
    // Two points share the eighth sign: if one must be flipped, where it costs less.
    tabulate(size, x + at + dims_, w + at + dims_, halves[1]);
    Found found[2] = {choose(halves[0], false), choose(halves[1], false)};
    int flipped = -1;
    if ((std::popcount(halves[0].negative) + std::popcount(halves[1].negative)) % 2 != 0) {
      for (Halves& of_point : halves) tabulate_flipped(of_point);
      const Found other[2] = {choose(halves[0], true), choose(halves[1], true)};
      flipped = other[1].cost - found[1].cost < other[0].cost - found[0].cost ? 1 : 0;
      found[flipped] = other[flipped];
    }
    for (int p = 0; p < 2; ++p) take(halves[p], found[p], p == flipped, mirrored, codes + at + p * dims_);
  }
}

Codebook::Run Codebook::run_of(const Code* codes) const {
  const auto count = static_cast<Code>(magnitudes_.size());
  Run run;
  std::array<uint8_t, kRun> levels;
  for (int i = 0; i < kRun; ++i) {
    const bool negative = codes[i] < count;
    levels[static_cast<size_t>(i)] = static_cast<uint8_t>(negative ? count - 1 - codes[i] : codes[i] - count);
    if (negative) run.signs = static_cast<uint8_t>(run.signs | 1 << i);
  }
  bool exists = !even_ || std::popcount(run.signs) % 2 == 0;
  for (int p = 0; p * dims_ < kRun; ++p) {
    run.points[static_cast<size_t>(p)] = point_of(levels.data() + p * dims_);
    exists = exists && run.points[static_cast<size_t>(p)] >= 0;
  }
  if (exists) return run;
  std::array<float, kRun> values, ones;
  std::array<Code, kRun> nearest;
  for (size_t i = 0; i < kRun; ++i) values[i] = level(codes[i]);
  ones.fill(1.0f);
  nearest_jointly(1.0f, values.data(), ones.data(), kRun, nearest.data());
  return run_of(nearest.data());
}

void Codebook::codes_of(const Run& run, Code* codes) const {
  const auto count = static_cast<Code>(magnitudes_.size());
  for (int i = 0; i < kRun; ++i) {
    const int point = run.points[static_cast<size_t>(i / dims_)];
    const Code level = levels_[static_cast<size_t>(point * dims_ + i % dims_)];
    codes[i] = (run.signs >> i & 1) != 0 ? count - 1 - level : count + level;
  }
}

void Codebook::values_of(const Run& run, float scale, float* values) const {
  for (int i = 0; i < kRun; ++i) {
    const int point = run.points[static_cast<size_t>(i / dims_)];
    const float magnitude = scale * magnitudes_[levels_[static_cast<size_t>(point * dims_ + i % dims_)]];
    values[i] = (run.signs >> i & 1) != 0 ? -magnitude : magnitude;
  }
}

}  // namespace vernier
