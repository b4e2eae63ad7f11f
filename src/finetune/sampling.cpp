#include "finetune/sampling.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "base/counter_random.h"
#include "base/fail.h"

namespace vernier {

namespace {
const double kFurthest = std::log(3.0);  // of a weight: no group is left out, and none is all there is
}

const std::vector<SamplingRow>& samplings() {
  static const std::vector<SamplingRow> rows = {
      {.name = "uniform", .about = "every example as often", .exponent = 1},
      {.name = "balanced", .about = "every group as often, rare ones repeated", .exponent = 0},
      {.name = "square-root", .about = "groups by the square root of their examples", .exponent = 0.5},
      {.name = "worst-first",
       .about = "as balanced, and after each evaluation more of the groups whose KL is above the mean",
       .exponent = 0,
       .follows_losses = true},
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

std::vector<double> oversampling(const std::vector<std::string>& groups, const std::map<std::string, double>& times) {
  std::vector<double> all(groups.size(), 1.0);
  for (const auto& [name, often] : times) {
    const auto at = std::find(groups.begin(), groups.end(), name);
    if (at == groups.end())
      fail(ErrorKind::kInvalidArgument, "finetune: --oversample {}: no such group; there are {}", name,
           fmt::join(groups, ", "));
    if (!(often > 0) || !std::isfinite(often))
      fail(ErrorKind::kInvalidArgument, "finetune: --oversample {}={}: expected more than 0", name, often);
    all[static_cast<size_t>(at - groups.begin())] = often;
  }
  return all;
}

Sampler::Sampler(const SamplingRow& row, const std::vector<int32_t>& group, std::vector<double> times, uint64_t seed)
    : row_(row),
      times_(std::move(times)),
      shuffles_(row.exponent == 1 &&
                std::adjacent_find(times_.begin(), times_.end(), std::not_equal_to<>()) == times_.end()),
      seed_(seed),
      count_(static_cast<int64_t>(group.size())),
      members_(times_.size()) {
  for (size_t i = 0; i < group.size(); ++i) members_[static_cast<size_t>(group[i])].push_back(static_cast<int64_t>(i));
  share_out(std::vector<double>(members_.size(), 1.0));
}

void Sampler::share_out(const std::vector<double>& factors) {
  until_.clear();
  double total = 0;
  for (size_t g = 0; g < members_.size(); ++g) {
    const auto own = static_cast<double>(members_[g].size());
    total += own > 0 ? factors[g] * times_[g] * std::pow(own, row_.exponent) : 0;
    until_.push_back(total);
  }
  for (double& share : until_) share /= total;
}

void Sampler::follow(const std::vector<std::vector<double>>& losses) {
  if (!row_.follows_losses) return;
  std::vector<double> logs(members_.size(), 0.0);
  for (const std::vector<double>& evaluation : losses) {
    double sum = 0, count = 0;
    for (const double loss : evaluation)
      if (std::isfinite(loss)) {
        sum += loss;
        ++count;
      }
    for (size_t g = 0; g < logs.size() && sum > 0; ++g)
      if (std::isfinite(evaluation[g]))
        logs[g] = std::clamp(logs[g] + evaluation[g] * count / sum - 1, -kFurthest, kFurthest);
  }
  for (double& log : logs) log = std::exp(log);
  share_out(logs);
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
    if (shuffles_) {
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
