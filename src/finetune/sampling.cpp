#include "finetune/sampling.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/counter_random.h"
#include "base/fail.h"

namespace vernier {

const std::vector<SamplingRow>& samplings() {
  static const std::vector<SamplingRow> rows = {
      {.name = "uniform", .about = "every example as often", .exponent = 1},
      {.name = "balanced", .about = "every group as often, rare ones repeated", .exponent = 0},
      {.name = "square-root", .about = "groups by the square root of their examples", .exponent = 0.5},
  };
  return rows;
}

const SamplingRow& find_sampling(const std::string& name) {
  std::string known;
  for (const SamplingRow& row : samplings()) {
    if (row.name == name) return row;
    known += (known.empty() ? "" : ", ") + row.name;
  }
  fail(ErrorKind::kInvalidArgument, "finetune: \"{}\" is no sampling; there are {}", name, known);
}

Sampler::Sampler(const SamplingRow& row, const std::vector<int32_t>& group, size_t groups, uint64_t seed)
    : row_(row), seed_(seed), count_(static_cast<int64_t>(group.size())), members_(groups) {
  for (size_t i = 0; i < group.size(); ++i) members_[static_cast<size_t>(group[i])].push_back(static_cast<int64_t>(i));
  double total = 0;
  for (const std::vector<int64_t>& own : members_) {
    total += own.empty() ? 0 : std::pow(static_cast<double>(own.size()), row.exponent);
    until_.push_back(total);
  }
  for (double& share : until_) share /= total;
}

int64_t Sampler::shuffled(int64_t draw) {
  const int64_t epoch = draw / count_;
  if (epoch != epoch_) {
    epoch_ = epoch;
    order_.resize(static_cast<size_t>(count_));
    std::iota(order_.begin(), order_.end(), 0);
    const uint64_t own = random_bits(seed_, static_cast<uint64_t>(epoch));
    for (int64_t i = count_ - 1; i > 0; --i)
      std::swap(order_[static_cast<size_t>(i)],
                order_[static_cast<size_t>(random_below(own, static_cast<uint64_t>(i), i + 1))]);
  }
  return order_[static_cast<size_t>(draw % count_)];
}

std::vector<int64_t> Sampler::draw(int64_t first, int64_t count) {
  std::vector<int64_t> examples;
  for (int64_t n = first; n < first + count; ++n) {
    if (row_.exponent == 1) {
      examples.push_back(shuffled(n));
      continue;
    }
    const double share = random_share(seed_, 2 * static_cast<uint64_t>(n));
    size_t group = static_cast<size_t>(std::upper_bound(until_.begin(), until_.end(), share) - until_.begin());
    while (group >= members_.size() || members_[group].empty()) --group;  // the last share may round below 1
    const std::vector<int64_t>& own = members_[group];
    examples.push_back(own[static_cast<size_t>(
        random_below(seed_, 2 * static_cast<uint64_t>(n) + 1, static_cast<int64_t>(own.size())))]);
  }
  return examples;
}

}  // namespace vernier
