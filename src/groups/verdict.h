#pragma once

// From resampled values to intervals, probabilities and verdicts.

#include <cstdint>
#include <vector>

#include "vernier/groups.h"

namespace vernier {

/// Percentiles of bootstrap draws at expanded_tail(), or, where the draws do not hold that, their mean and student_reach() on
/// both sides. Draws that are NaN do not count. Everything for fewer than 2 clusters.
ConfidenceInterval bootstrap_interval(std::vector<double> draws, double confidence, int64_t clusters);

/// How far a share that was the same in every draw may still be off: 1 - (alpha / 2)^(1 / clusters), the exact bound
/// for an event that was never seen; 0 where draws differ.
double unseen_share(const std::vector<double>& draws, double confidence, int64_t clusters);

ConfidenceInterval widened(const ConfidenceInterval& interval, double by);

/// In rising order, without those that are none (a group of weight 0 has no figures in some draws).
std::vector<double> sorted_numbers(std::vector<double> values);

/// Two-sided: twice the smaller share of null draws that are as extreme, the value itself counted as one.
double two_sided_p(const std::vector<double>& null, double value);
/// Share of null draws that are as great or greater, the value itself counted as one.
double upper_p(const std::vector<double>& null, double value);

/// Of each group the share of null draws in which any group lies as far out as it does, in standard deviations of its own
/// null: what holds for all groups at once, however many (Westfall and Young's single-step maxT). The values themselves
/// are counted as one. @shape null: [group][draw]
std::vector<double> adjusted_p(const std::vector<std::vector<double>>& null, const std::vector<double>& values);

/// Undecided for an interval without ends. @throws Error{kInvalidArgument} for a negative tolerance
Verdict judge(const ConfidenceInterval& interval, Worse worse, double tolerance);

}  // namespace vernier
