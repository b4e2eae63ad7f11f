#include "vernier/out_of_distribution.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/fail.h"

namespace vernier {

namespace {

double greatest_logit(std::span<const float> logits) { return *std::max_element(logits.begin(), logits.end()); }

double log_sum_exp_of(std::span<const float> logits) {
  const double greatest = greatest_logit(logits);
  double total = 0;
  for (const float z : logits) total += std::exp(z - greatest);
  return greatest + std::log(total);
}

/// The log of it, which orders alike and still tells confidences apart that round to 1.
double log_greatest_probability(std::span<const float> logits) {
  const auto greatest = std::max_element(logits.begin(), logits.end());
  double others = 0;
  for (auto z = logits.begin(); z != logits.end(); ++z)
    if (z != greatest) others += std::exp(static_cast<double>(*z) - *greatest);
  return -std::log1p(others);
}

double negative_entropy(std::span<const float> logits) {
  const double total = log_sum_exp_of(logits);
  double sum = 0;
  for (const float z : logits) sum += std::exp(z - total) * (z - total);
  return sum;
}

/// Area under precision over recall as a sum of steps. @param steps weights of positives and of all at each threshold
struct AveragePrecision {
  double positives = 0, all = 0, area = 0;
  void add(double positive, double negative) {
    positives += positive, all += positive + negative;
    if (all > 0) area += positive * (positives / all);
  }
  double value() const { return area / positives; }
};

}  // namespace

const std::vector<OodScore>& ood_scores() {
  static const std::vector<OodScore> rows{
      {"msp", "greatest probability", "arXiv 1610.02136", log_greatest_probability},
      {"energy", "energy", "arXiv 2010.03759", log_sum_exp_of},
      {"max_logit", "greatest logit", "arXiv 1911.11132", greatest_logit},
      {"entropy", "negative entropy", "arXiv 1610.02136", negative_entropy},
  };
  return rows;
}

const OodScore* find_ood_score(std::string_view key) {
  for (const OodScore& row : ood_scores())
    if (row.key == key) return &row;
  return nullptr;
}

DetectionSweep::DetectionSweep(std::span<const double> inside, std::span<const double> outside) {
  for (const bool in : {true, false}) {
    const auto scores = in ? inside : outside;
    for (size_t i = 0; i < scores.size(); ++i) {
      if (std::isnan(scores[i])) fail(ErrorKind::kInvalidArgument, "out of distribution: score {} is not a number", i);
      falling_.push_back({scores[i], in ? i : inside.size() + i, in});
    }
  }
  std::stable_sort(falling_.begin(), falling_.end(), [](const Entry& a, const Entry& b) { return a.score > b.score; });
}

Detection DetectionSweep::of(std::span<const double> weights) const {
  // Weights at each distinct score, greatest first: equal scores cannot be told apart by a threshold.
  std::vector<std::pair<double, double>> steps;
  double inside = 0, outside = 0;
  for (size_t i = 0; i < falling_.size(); ++i) {
    const Entry& entry = falling_[i];
    if (i == 0 || entry.score != falling_[i - 1].score) steps.emplace_back(0, 0);
    const double weight = weights.empty() ? 1 : weights[entry.index];
    (entry.inside ? steps.back().first : steps.back().second) += weight;
    (entry.inside ? inside : outside) += weight;
  }
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  if (!(inside > 0) || !(outside > 0)) return {kNone, kNone, kNone, kNone};
  Detection result{0, 0, 0, kNone};
  AveragePrecision of_inside, of_outside;
  double in_so_far = 0, out_so_far = 0;
  for (const auto& [in, out] : steps) {
    result.auroc += in * (outside - out_so_far - out / 2);
    in_so_far += in, out_so_far += out;
    of_inside.add(in, out);
    if (std::isnan(result.fpr95) && in_so_far >= 0.95 * inside) result.fpr95 = out_so_far / outside;
  }
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) of_outside.add(step->second, step->first);
  result.auroc /= inside * outside;
  result.aupr_in = of_inside.value();
  result.aupr_out = of_outside.value();
  return result;
}

Detection detection_of(std::span<const double> inside, std::span<const double> outside) {
  return DetectionSweep(inside, outside).of();
}

}  // namespace vernier
