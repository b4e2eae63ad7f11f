#include "vernier/calibrate.h"

#include <ATen/ATen.h>

#include "base/fail.h"

namespace vernier {

namespace {

at::Tensor mean_of(const std::vector<at::Tensor>& values, const std::vector<size_t>& parts) {
  at::Tensor sum;
  int64_t count = 0;
  for (const size_t part : parts) {
    if (!values[part].defined()) continue;
    sum = sum.defined() ? sum.add_(values[part]) : values[part].clone();
    ++count;
  }
  if (count == 0) fail(ErrorKind::kInternal, "gram: no part of the text has tokens");
  return sum.div_(static_cast<double>(count));
}

}  // namespace

at::Tensor mean_gram(const InputGrams& grams, const std::vector<size_t>& parts) { return mean_of(grams.parts, parts); }

at::Tensor mean_input(const InputGrams& grams, const std::vector<size_t>& parts) { return mean_of(grams.means, parts); }

}  // namespace vernier
