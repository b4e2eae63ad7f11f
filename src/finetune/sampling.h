#pragma once

// Which examples a step learns from, a row each. What the n-th draw is depends on the seed and n, and where a row follows
// losses on those as well.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace vernier {

/// A group is drawn with probability in proportion to (its examples)^exponent, then one of its examples, with replacement
/// (balanced: arXiv 1710.05381). With exponent 1 all examples are shuffled anew in every epoch instead.
struct SamplingRow {
  std::string name;
  std::string about;  ///< one clause, for help texts
  double exponent = 1;
  bool follows_losses = false;  ///< shares change as Sampler::follow says
};

const std::vector<SamplingRow>& samplings();
/// @throws Error{kInvalidArgument} that lists what exists
const SamplingRow& find_sampling(const std::string& name);

/// Of each of `groups` how many times as often it is drawn as a sampling has it, from what FinetuneOptions::oversample says
/// by name; of the others 1. @throws Error{kInvalidArgument} for a group that is not there, and times that are not above 0
std::vector<double> oversampling(const std::vector<std::string>& groups, const std::map<std::string, double>& times);

class Sampler {
 public:
  /// `group` of each example, indices below `times.size()`; a group is drawn `times` as often as the row has it, and never
  /// where it has no examples. Where times are not alike, draws of exponent 1 are with replacement as well.
  Sampler(const SamplingRow& row, const std::vector<int32_t>& group, std::vector<double> times, uint64_t seed);

  /// For a row that follows losses: each evaluation so far has multiplied a group's weight by e^(its loss over the groups'
  /// mean - 1), and left it between a third and three; shares are the row's own times that, made to sum to 1. Group DRO's
  /// multiplicative weights (arXiv 1911.08731, algorithm 1) on held-back losses instead of each batch's, and on what is
  /// drawn instead of its gradient, so that no example counts more than another. @shape losses: [evaluations][groups], NaN where a group was not measured
  void follow(const std::vector<std::vector<double>>& losses);

  /// Examples of draws `first` ... `first + count - 1`.
  std::vector<int64_t> draw(int64_t first, int64_t count);

 private:
  int64_t shuffled(int64_t draw);
  void share_out(const std::vector<double>& factors);

  const SamplingRow& row_;
  std::vector<double> times_;
  bool shuffles_;
  uint64_t seed_;
  int64_t count_;
  std::vector<std::vector<int64_t>> members_;  // by group
  std::vector<double> until_;                  // cumulated probabilities of groups
  int64_t epoch_ = -1;
  std::vector<int64_t> order_;  // of that epoch
};

}  // namespace vernier
