#pragma once

// Whether a step of a search is kept: what is made from some parts of the calibration text is judged on the others. Error
// feedback learns the text: on SmolLM2 at 3 bits plain GPTQ is worse than rounding to nearest on another domain.

#include <ATen/core/Tensor.h>

#include <vector>

#include "vernier/calibrate.h"

namespace vernier {

/// Parts of the text by their number.
struct GuardFold {
  std::vector<size_t> made_from, judged_on;
};
/// Every part is judged on once; none where there is only one part.
std::vector<GuardFold> guard_folds(const InputGrams& grams);
/// `outputs`, unless a part that has tokens is without: then nullptr, outputs alike, whatever others have.
const InputGrams* outputs_of_all_parts(const InputGrams& grams, const InputGrams* outputs);
/// All parts that have tokens.
std::vector<size_t> parts_with_tokens(const InputGrams& grams);

/// tr(E G E'): the mean square of what the error of a matrix does to its outputs. @shape error [rows, cols]
double output_error(const at::Tensor& error, const at::Tensor& gram);
/// tr(D E G E'), D the second moments of gradients by the outputs: twice what the error costs, in nats per token.
/// @shape outputs [rows, rows], or undefined for the identity
double output_error(const at::Tensor& error, const at::Tensor& gram, const at::Tensor& outputs);
/// Mean logarithm of errors[part] / baseline[part] over the parts; infinite if one is worse.
double guarded_score(const std::vector<double>& errors, const std::vector<double>& baseline);

/// Mean squares of the columns: what weights a fit.
std::vector<float> importance_of(const at::Tensor& gram);

}  // namespace vernier
