#include "quantize/corrected_bias.h"

#include <ATen/ATen.h>

#include <cmath>

#include "quantize/guard.h"

namespace vernier {

at::Tensor corrected_bias(const at::Tensor& bias, const at::Tensor& error, const InputGrams& grams) {
  std::vector<double> before(grams.parts.size()), after(grams.parts.size());
  const std::vector<GuardFold> folds = guard_folds(grams);
  for (const GuardFold& fold : folds) {
    const at::Tensor shift = at::mv(error, mean_input(grams, fold.made_from));
    for (const size_t part : fold.judged_on) {
      before[part] = output_error(error, grams.parts[part]);
      // E|E x - shift|^2
      after[part] = before[part] + (shift * (shift - 2 * at::mv(error, grams.means[part]))).sum().item<double>();
    }
  }
  if (folds.empty() || !std::isfinite(guarded_score(after, before))) return bias;
  return bias - at::mv(error, mean_input(grams, parts_with_tokens(grams)));
}

}  // namespace vernier
