#pragma once

// The chain of causes of arXiv 2509.07222, link by link: quantization changes activations, logits vary less, loss rises,
// accuracy falls; and whether gradient, curvature and size foretell which group pays. In: a record per group. Out: a
// verdict per link.
//
//   std::vector<ChainRecord> records = chain_records(analysis.attributes[0]);
//   records[0].gradient_norm = 0.7;
//   const ChainReport report = chain_test(records);
//   print(report.steps[0].claim, report.steps[0].correlation, name_of(report.verdict));

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "vernier/groups.h"

namespace vernier {

inline constexpr double kNotMeasured = std::numeric_limits<double>::quiet_NaN();
inline constexpr ConfidenceInterval kEverything{-std::numeric_limits<double>::infinity(),
                                                std::numeric_limits<double>::infinity()};

/// What quantizing did to one group. Links leave out the groups that lack one of their two figures.
struct ChainRecord {
  std::string group;
  int64_t examples = 0;
  double activation_change = kNotMeasured;      ///< norm of what changed over the norm of what was, of any one site
  double logit_variance_change = kNotMeasured;  ///< relative: -0.1 is a tenth less
  double loss_change = kNotMeasured;            ///< R(g), nats
  double accuracy_change = kNotMeasured;        ///< share
  double rescaled_loss_change = kNotMeasured;   ///< R(g) once the logits have the reference's variance again
  double gradient_norm = kNotMeasured;          ///< of the group's mean loss, of the reference
  double top_eigenvalue = kNotMeasured;         ///< of its Hessian
  double foretold_loss_change = kNotMeasured;   ///< g dw + dw H dw / 2, of some of its examples
  double expanded_loss_change = kNotMeasured;   ///< of the same examples
};

/// Size, variance, loss and accuracy of the groups of an analysis, without those that are too small for intervals.
std::vector<ChainRecord> chain_records(const AttributeResult& attribute, int64_t min_clusters = 5);

/// The model's answers once all its logits are multiplied by one factor that gives them the reference's mean variance
/// over the classes. No answer changes, so that a loss that returns was one of scale, and accuracy that is lost was not.
/// @throws Error{kInvalidArgument} without logits, or with logits that are all equal
Answers rescaled_answers(const GroupedExamples& examples, const Answers& reference, const Answers& model);

enum class ClaimVerdict { kConfirmed, kRefuted, kUndecided };
std::string_view name_of(ClaimVerdict verdict);

/// A link: whether y goes with x as claimed, over groups.
struct ChainStep {
  std::string key;
  std::string claim;
  int64_t groups = 0;  ///< that have both figures
  /// Spearman's rank correlation; of "variance_falls" the share of groups, of "rescaling_restores" the share of the loss.
  double correlation = kNotMeasured;
  /// Of it: Bonett and Wright (2000) for rank correlations, Wilson for the share, Student's t for the restored share.
  ConfidenceInterval interval = kEverything;
  double p = kNotMeasured;      ///< of the rank correlation, two-sided, by permuting groups
  double slope = kNotMeasured;  ///< least squares of y on x
  ConfidenceInterval slope_interval = kEverything;
  double r_squared = kNotMeasured;
  ClaimVerdict verdict = ClaimVerdict::kUndecided;
};

struct ChainReport {
  std::vector<ChainStep> steps;
  /// Of the chain from activations to accuracy: refuted by any link, confirmed by all that were measured, of which those
  /// from variance to loss must be some. What foretells who pays is judged by its own steps.
  ClaimVerdict verdict = ClaimVerdict::kUndecided;
};

/// Steps, in this order: activations_lower_variance, variance_falls, variance_explains_loss, rescaling_restores,
/// loss_explains_accuracy; gradient_foretells, curvature_foretells, expansion_foretells, minorities_pay.
/// A correlation is confirmed when its interval lies on the claimed side of 0 and its p is below 1 - confidence, and
/// refuted when it does so on the other side; the variance falls when it does in 80 % of groups and more than half surely;
/// rescaling restores when more than half of the loss surely returns; an expansion foretells when its slope may be 1 and
/// surely is above 0.
/// @throws Error{kInvalidArgument} for a confidence outside of (0.5, 1)
ChainReport chain_test(const std::vector<ChainRecord>& records, double confidence = 0.95);

/// With the records that it rests on.
nlohmann::ordered_json chain_report_to_json(const ChainReport& report, const std::vector<ChainRecord>& records);
/// @throws Error{kBadFile} naming `origin` and the key
ChainReport chain_report_from_json(const nlohmann::ordered_json& json, const std::string& origin);

}  // namespace vernier
