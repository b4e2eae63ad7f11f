#pragma once

// Figures of groups as rows. A group's value is finished from sums over its examples, so that resampling and permuting are
// additions, and what all others have is the whole less the group's own.

#include <cstdint>
#include <span>
#include <vector>

#include "vernier/groups.h"

namespace vernier {

/// Sums of one group and one model: what a figure may be finished from.
struct GroupSums {
  double weight = 0;
  std::vector<double> means;                    ///< by mean figure: weight times value
  std::vector<double> answered, labelled, hit;  ///< by class: predicted, right, both
  std::vector<double> logits, squares;          ///< by class, of the logits

  GroupSums& operator+=(const GroupSums& other);
  GroupSums& operator-=(const GroupSums& other);
};

struct FigureRow {
  GroupFigure facts;
  bool (*available)(const GroupedExamples&, const Answers&);
  /// A mean over examples: what each one adds. nullptr: `finish` makes it of the other sums.
  double (*value)(const GroupedExamples&, const Answers& reference, const Answers& model, size_t example);
  double (*finish)(const GroupSums&);
};

const std::vector<FigureRow>& figure_rows();

/// The available rows with the means' values at hand.
class FigureValues {
 public:
  FigureValues(const GroupedExamples& examples, const Answers& reference, const Answers& model);

  const std::vector<const FigureRow*>& rows() const { return rows_; }
  bool has_classes() const { return has_classes_; }
  /// The right class; -1 where none is known.
  int32_t label(size_t example) const { return examples_.labels.empty() ? -1 : examples_.labels[example]; }
  GroupSums zero() const;
  /// @param of_reference which of the two models
  void add(GroupSums& sums, size_t example, double weight, bool of_reference) const;
  /// NaN for a group without examples. @shape one per row
  std::vector<double> finish(const GroupSums& sums) const;

 private:
  const GroupedExamples& examples_;
  const Answers &reference_, &model_;
  std::vector<const FigureRow*> rows_;
  size_t means_ = 0;
  bool has_classes_ = false, has_logits_ = false;
  std::vector<double> of_reference_, of_model_;  // [examples, means]
};

}  // namespace vernier
