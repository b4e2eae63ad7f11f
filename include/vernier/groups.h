#pragma once

// Who pays for quantization: figures per group of examples, of a model beside a reference, with intervals, nulls and a
// verdict. In: what both models answered to each example. Out: groups.json.
//
//   GroupedExamples examples{.count = 6, .classes = 2, .labels = {0, 1, 0, 1, 0, 1}};
//   examples.attributes = {{"sex", {"f", "f", "f", "m", "m", "m"}}};
//   const Answers before = answers_of_logits("f32", logits, 2, examples.labels);
//   const Answers after = answers_of_logits("int4", quantized_logits, 2, examples.labels);
//   const GroupAnalysis analysis = analyse_groups(examples, before, after, {});
//   print(analysis.attributes[0].groups[0].figures.at("loss_nats").change.value);  // excess loss R(g)

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vernier/interval.h"
#include "vernier/worse.h"

namespace vernier {

struct GroupAttribute {
  std::string name;
  std::vector<std::string> values;  ///< one per example; "" where it belongs to no group of this attribute
};

struct GroupedExamples {
  std::string name = {};
  std::string hash = {};  ///< of what was scored
  int64_t count = 0;
  int64_t classes = 0;               ///< 0 where answers are no classes
  std::vector<int32_t> labels = {};  ///< the right class of each example; empty: none is known
  std::vector<GroupAttribute> attributes = {};
  /// What belongs together and is resampled as one, such as a document in several languages; empty: each for itself.
  std::vector<int64_t> clusters = {};
  /// How much an example counts in means: its tokens, its bytes; empty: 1 each.
  std::vector<double> weights = {};
};

/// What a model answered to each example. A vector is empty where the model has no such thing.
struct Answers {
  std::string model = {};
  std::vector<double> loss_nats = {};
  std::vector<int32_t> predicted = {};      ///< class of the greatest logit
  std::vector<double> correct = {};         ///< 0 or 1; of text, the share of tokens
  std::vector<double> logit_variance = {};  ///< over the classes (divided by their number)
  std::vector<double> margin = {};          ///< logit of the right class less the greatest other one
  std::vector<double> entropy_nats = {};
  std::vector<double> confidence = {};  ///< greatest probability
  std::vector<double> kl_nats = {};     ///< from the reference, per what the loss is per; the reference's own are 0
  std::vector<double> normalized_correct = {};  ///< of questions: 0 or 1 by log-likelihood per byte of the answer
  std::vector<double> stereotyped = {};         ///< of pairs: 1 where the sentence that stereotypes more is likelier
  std::vector<float> logits = {};               ///< [examples, classes]
};

/// All of the above from logits. @shape logits: [labels.size(), classes]; a label of -1 is unknown: no loss, no margin
/// @throws Error{kInvalidArgument} for other shapes, labels out of range, logits that are not finite
Answers answers_of_logits(const std::string& model, std::span<const float> logits, int64_t classes,
                          std::span<const int32_t> labels);

/// The most frequent class over several models; of equally frequent ones that of the earliest model. Its flips against a
/// reference are modal disagreement (compression-identified exemplars of arXiv 1911.05248).
/// @throws Error{kInvalidArgument} when there are none or their examples differ
Answers modal_answers(std::span<const Answers> models, std::span<const int32_t> labels);

/// A figure of a group. All are additive: a group's value is made of sums over its examples.
struct GroupFigure {
  std::string_view key;  ///< with its unit
  std::string_view name;
  std::string_view meaning;
  std::string_view unit;  ///< "nats", "share", "logits", "logits^2"
  Worse worse = Worse::kHigher;
  double tolerance = 0;   ///< where the user sets none
  bool compares = false;  ///< of model and reference together: the reference's value is 0
};

/// Loss, accuracy (also of length-normalized answers), recall (macro), logit variance over classes and over samples, margin,
/// entropy, confidence, KL, share of stereotyping preferred, flips.
std::vector<GroupFigure> group_figures();

enum class Verdict {
  kWithin,     ///< the whole interval lies within the tolerance
  kExceeds,    ///< the whole interval lies beyond it
  kUndecided,  ///< neither
};
std::string_view name_of(Verdict verdict);

/// A value with its interval, judged against a tolerance in the direction in which the figure gets worse (both where it
/// gets worse in neither).
struct Judged {
  double value = 0;
  ConfidenceInterval interval;
  Verdict verdict = Verdict::kUndecided;
};

struct GroupValue {
  double reference = 0, model = 0;
  Judged change;  ///< model less reference, whether anyone else is hurt or not; of the loss: R(g)
  /// By how much the change exceeds that of all other examples of the attribute. Its intervals hold for all groups at once
  /// (Bonferroni), and to exceed the tolerance it must also be rarer than such groups make it among random ones.
  Judged skew;
  ConfidenceInterval null;  ///< changes of random groups of this size
  double null_p = 1;        ///< two-sided: how often a random group's change is as extreme
};

struct GroupResult {
  std::string name;
  int64_t examples = 0, clusters = 0;
  double weight = 0;
  std::map<std::string, GroupValue, std::less<>> figures = {};
};

/// The greatest difference between groups. Groups below GroupOptions::min_clusters are left out.
struct GroupGap {
  double reference = 0, model = 0;  ///< greatest less smallest value
  Judged spread;                    ///< greatest less smallest change: the disparity that quantization adds
  double null_95 = 0;               ///< 95th percentile of the spread when labels of groups are permuted
  double null_p = 1;                ///< how often it is as large then
  std::string most_damaged;         ///< the group with the worst change
  std::string worst;  ///< the group with the worst value of the model; "" for figures without a worse side
};

/// Largest difference of rates between groups, over classes taken one against the rest. A rate that a group has no
/// examples for is left out (fairlearn calls it 0).
struct ParityGap {
  double reference = 0, model = 0;
  Judged change;
  double null_p = 1;  ///< one-sided; NaN where every group is of one class, which exchanging groups would exchange
};

struct AttributeResult {
  std::string name;  ///< "sex", and of an intersection "sex x age"
  std::vector<GroupResult> groups = {};
  std::map<std::string, GroupGap, std::less<>> gaps = {};
  /// "demographic_parity" (rates at which a class is answered) and "equalized_odds" (the greater one of the differences of
  /// true and false positive rates), where there are classes.
  std::map<std::string, ParityGap, std::less<>> parity = {};
};

struct GroupOptions {
  double confidence = 0.95;
  int bootstrap_draws = 2000;  ///< of clusters, the same ones for reference and model
  int null_draws = 1000;       ///< permutations of group labels
  uint64_t seed = 1;
  int64_t min_clusters = 5;  ///< smaller groups have values, but no intervals and no verdict
  int intersections = 1;     ///< up to how many attributes are crossed
  std::map<std::string, double, std::less<>> tolerance = {};  ///< by key of a figure, or of parity (default 0.01)
};

struct GroupAnalysis {
  std::string data_name, data_hash, reference, model;
  int64_t examples = 0;
  GroupOptions options;
  GroupResult all;  ///< everything as one group
  std::vector<AttributeResult> attributes;
  std::vector<std::string> warnings;
};

/// Intervals are bootstrap percentiles over clusters, paired (the same draws for both models) and widened for small groups
/// (Hesterberg 2015: quantiles of Student's t instead of the normal one); a share that never changed in n examples could
/// still be 1 - (alpha/2)^(1/n). Group labels are permuted among clusters if each has one, else within those that
/// have several (documents in several languages), so that a random group has the size of the true one.
/// @cost (bootstrap_draws + null_draws) * examples * figures and bootstrap_draws * groups^2 * figures, per attribute
/// @throws Error{kInvalidArgument} for vectors of different lengths, no attribute, an unknown figure in `tolerance`
GroupAnalysis analyse_groups(const GroupedExamples& examples, const Answers& reference, const Answers& model,
                             const GroupOptions& options);

nlohmann::ordered_json group_analysis_to_json(const GroupAnalysis& analysis);
/// @throws Error{kBadFile} naming `origin` and the key
GroupAnalysis group_analysis_from_json(const nlohmann::ordered_json& json, const std::string& origin);

}  // namespace vernier
