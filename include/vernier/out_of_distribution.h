#pragma once

// Does a model notice what it was never taught? Scores of single answers, and how well a threshold on them tells what is
// in the distribution from what is not.
//
//   std::vector<double> in, out;
//   const OodScore& energy = *find_ood_score("energy");
//   for (size_t i = 0; i < 100; ++i) in.push_back(energy.of_logits(std::span(logits).subspan(i * 10, 10)));
//   const Detection found = detection_of(in, out);
//   print(found.auroc, found.fpr95);

#include <span>
#include <string_view>
#include <vector>

namespace vernier {

/// A score of one example's logits; greater means more like what the model knows.
struct OodScore {
  std::string_view key, name, source;
  double (*of_logits)(std::span<const float> logits);
};

/// Greatest probability, energy (log sum exp), greatest logit, negative entropy.
const std::vector<OodScore>& ood_scores();
/// nullptr for an unknown key.
const OodScore* find_ood_score(std::string_view key);

/// Shares; NaN where a side is empty.
struct Detection {
  double auroc = 0;     ///< that one from inside scores higher than one from outside, ties half
  double aupr_in = 0;   ///< average precision with what is inside as the positive class
  double aupr_out = 0;  ///< and with what is outside, by the negative score
  double fpr95 = 0;     ///< of outside taken as inside, where at least 95% of inside are
};

/// Scores in order, so that drawing examples again costs no sorting.
class DetectionSweep {
 public:
  /// @throws Error{kInvalidArgument} for scores that are not numbers
  DetectionSweep(std::span<const double> inside, std::span<const double> outside);
  /// As scikit-learn's roc_auc_score, average_precision_score and roc_curve have them.
  /// @param weights of those inside, then of those outside; empty: 1 each
  Detection of(std::span<const double> weights = {}) const;

 private:
  struct Entry {
    double score;
    size_t index;
    bool inside;
  };
  std::vector<Entry> falling_;
};

/// @throws as DetectionSweep
Detection detection_of(std::span<const double> inside, std::span<const double> outside);

}  // namespace vernier
