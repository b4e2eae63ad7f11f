#include "groups/figures.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace vernier {

namespace {

constexpr double kNoValue = std::numeric_limits<double>::quiet_NaN();
/// Sums by class and logit are resampled thousands of times: of more classes than these they would take minutes.
constexpr int64_t kMostClasses = 256;

template <std::vector<double> Answers::*values>
bool has(const GroupedExamples&, const Answers& answers) {
  return !(answers.*values).empty();
}

template <std::vector<double> Answers::*values>
double value_of(const GroupedExamples&, const Answers&, const Answers& model, size_t i) {
  return (model.*values)[i];
}

bool predicts(const GroupedExamples&, const Answers& answers) { return !answers.predicted.empty(); }
bool classifies(const GroupedExamples& examples, const Answers& answers) {
  return examples.classes > 0 && !examples.labels.empty() && !answers.predicted.empty();
}
bool has_logits(const GroupedExamples& examples, const Answers& answers) {
  return examples.classes <= kMostClasses && !answers.logits.empty();
}

double flipped(const GroupedExamples&, const Answers& reference, const Answers& model, size_t i) {
  return reference.predicted[i] != model.predicted[i] ? 1 : 0;
}
double spoiled(const GroupedExamples& examples, const Answers& reference, const Answers& model, size_t i) {
  return reference.predicted[i] == examples.labels[i] && model.predicted[i] != examples.labels[i] ? 1 : 0;
}
double mended(const GroupedExamples& examples, const Answers& reference, const Answers& model, size_t i) {
  return spoiled(examples, model, reference, i);
}

/// Mean over the classes that the group has examples of.
double macro_recall(const GroupSums& sums) {
  double total = 0;
  int classes = 0;
  for (size_t c = 0; c < sums.labelled.size(); ++c)
    if (sums.labelled[c] > 0) total += sums.hit[c] / sums.labelled[c], ++classes;
  return classes > 0 ? total / classes : kNoValue;
}

/// Variance of each class's logit over the samples, mean over the classes.
double variance_over_samples(const GroupSums& sums) {
  double total = 0;
  for (size_t c = 0; c < sums.logits.size(); ++c) {
    const double mean = sums.logits[c] / sums.weight;
    total += std::max(0.0, sums.squares[c] / sums.weight - mean * mean);
  }
  return total / static_cast<double>(sums.logits.size());
}

void add_times(GroupSums& sums, const GroupSums& other, double factor) {
  sums.weight += factor * other.weight;
  for (const auto member : {&GroupSums::means, &GroupSums::answered, &GroupSums::labelled, &GroupSums::hit,
                            &GroupSums::logits, &GroupSums::squares})
    for (size_t i = 0; i < (sums.*member).size(); ++i) (sums.*member)[i] += factor * (other.*member)[i];
}

}  // namespace

const std::vector<FigureRow>& figure_rows() {
  using A = Answers;
  static const std::vector<FigureRow> rows{
      {{"loss_nats", "loss", "mean loss; its change is the excess loss R(g)", "nats", Worse::kHigher, 0.01, false},
       has<&A::loss_nats>,
       value_of<&A::loss_nats>,
       nullptr},
      {{"accuracy", "accuracy", "share of examples answered right", "share", Worse::kLower, 0.01, false},
       has<&A::correct>,
       value_of<&A::correct>,
       nullptr},
      {{"recall", "recall", "share answered right of each class, mean over the classes that occur", "share",
        Worse::kLower, 0.01, false},
       classifies,
       nullptr,
       macro_recall},
      {{"logit_variance", "logit variance", "variance of an example's logits over the classes", "logits^2",
        Worse::kNeither, 0.1, false},
       has<&A::logit_variance>,
       value_of<&A::logit_variance>,
       nullptr},
      {{"logit_sample_variance", "logit variance over samples",
        "variance of a class's logit over the examples, mean over the classes", "logits^2", Worse::kNeither, 0.1,
        false},
       has_logits,
       nullptr,
       variance_over_samples},
      {{"margin", "margin", "logit of the right class less the greatest other one", "logits", Worse::kLower, 0.1,
        false},
       has<&A::margin>,
       value_of<&A::margin>,
       nullptr},
      {{"entropy_nats", "entropy", "of the answered distribution", "nats", Worse::kNeither, 0.01, false},
       has<&A::entropy_nats>,
       value_of<&A::entropy_nats>,
       nullptr},
      {{"confidence", "confidence", "greatest probability", "share", Worse::kNeither, 0.01, false},
       has<&A::confidence>,
       value_of<&A::confidence>,
       nullptr},
      {{"kl_nats", "KL", "Kullback-Leibler divergence from the reference's answers", "nats", Worse::kHigher, 0.01,
        true},
       has<&A::kl_nats>,
       value_of<&A::kl_nats>,
       nullptr},
      {{"normalized_accuracy", "length-normalized accuracy",
        "share of questions answered right by log-likelihood per byte of the answer", "share", Worse::kLower, 0.01,
        false},
       has<&A::normalized_correct>,
       value_of<&A::normalized_correct>,
       nullptr},
      {{"stereotype_share", "stereotyping preferred",
        "share of pairs whose more stereotyping sentence is likelier; 0.5 prefers neither", "share", Worse::kNeither,
        0.01, false},
       has<&A::stereotyped>,
       value_of<&A::stereotyped>,
       nullptr},
      {{"flips", "flips", "share of examples that the model answers otherwise than the reference", "share",
        Worse::kHigher, 0.01, true},
       predicts,
       flipped,
       nullptr},
      {{"spoiled", "right to wrong", "share that the reference answers right and the model wrong", "share",
        Worse::kHigher, 0.01, true},
       classifies,
       spoiled,
       nullptr},
      {{"mended", "wrong to right", "share that the reference answers wrong and the model right", "share",
        Worse::kNeither, 0.01, true},
       classifies,
       mended,
       nullptr},
  };
  return rows;
}

std::vector<GroupFigure> group_figures() {
  std::vector<GroupFigure> figures;
  for (const FigureRow& row : figure_rows()) figures.push_back(row.facts);
  return figures;
}

GroupSums& GroupSums::operator+=(const GroupSums& other) {
  add_times(*this, other, 1);
  return *this;
}

GroupSums& GroupSums::operator-=(const GroupSums& other) {
  add_times(*this, other, -1);
  return *this;
}

FigureValues::FigureValues(const GroupedExamples& examples, const Answers& reference, const Answers& model)
    : examples_(examples), reference_(reference), model_(model) {
  for (const FigureRow& row : figure_rows())
    if (row.available(examples, reference) && row.available(examples, model)) {
      rows_.push_back(&row);
      means_ += row.value != nullptr ? 1 : 0;
    }
  has_classes_ = classifies(examples, reference) && classifies(examples, model);
  has_logits_ = has_logits(examples, reference) && has_logits(examples, model);
  for (int64_t i = 0; i < examples.count; ++i)
    for (const FigureRow* row : rows_) {
      if (row->value == nullptr) continue;
      const auto example = static_cast<size_t>(i);
      of_model_.push_back(row->value(examples, reference, model, example));
      of_reference_.push_back(row->facts.compares ? 0 : row->value(examples, reference, reference, example));
    }
}

GroupSums FigureValues::zero() const {
  const std::vector<double> by_class(has_classes_ ? static_cast<size_t>(examples_.classes) : 0);
  const std::vector<double> by_logit(has_logits_ ? static_cast<size_t>(examples_.classes) : 0);
  return {0, std::vector<double>(means_), by_class, by_class, by_class, by_logit, by_logit};
}

void FigureValues::add(GroupSums& sums, size_t example, double weight, bool of_reference) const {
  sums.weight += weight;
  const double* values = (of_reference ? of_reference_ : of_model_).data() + example * means_;
  for (size_t f = 0; f < means_; ++f) sums.means[f] += weight * values[f];
  const Answers& answers = of_reference ? reference_ : model_;
  if (has_classes_) {
    const auto predicted = static_cast<size_t>(answers.predicted[example]);
    const auto label = static_cast<size_t>(examples_.labels[example]);
    sums.answered[predicted] += weight;
    sums.labelled[label] += weight;
    if (predicted == label) sums.hit[label] += weight;
  }
  if (has_logits_) {
    const float* row = answers.logits.data() + example * sums.logits.size();
    for (size_t c = 0; c < sums.logits.size(); ++c) {
      sums.logits[c] += weight * row[c];
      sums.squares[c] += weight * row[c] * row[c];
    }
  }
}

std::vector<double> FigureValues::finish(const GroupSums& sums) const {
  std::vector<double> values;
  size_t mean = 0;
  constexpr double kEmpty = 1e-9;  // the whole less the group leaves rounding, where the group is the whole
  for (const FigureRow* row : rows_) {
    if (row->value != nullptr) {
      const double sum = sums.means[mean++];
      values.push_back(sums.weight > kEmpty ? sum / sums.weight : kNoValue);
    } else {
      values.push_back(sums.weight > kEmpty ? row->finish(sums) : kNoValue);
    }
  }
  return values;
}

}  // namespace vernier
