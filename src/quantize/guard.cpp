#include "quantize/guard.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace vernier {

namespace {
constexpr size_t kGuardFolds = 3;  // each costs a search of its own
}  // namespace

std::vector<size_t> parts_with_tokens(const InputGrams& grams) {
  std::vector<size_t> parts;
  for (size_t part = 0; part < grams.parts.size(); ++part)
    if (grams.parts[part].defined()) parts.push_back(part);
  return parts;
}

const InputGrams* outputs_of_all_parts(const InputGrams& grams, const InputGrams* outputs) {
  const auto known = [&](size_t part) { return part < outputs->parts.size() && outputs->parts[part].defined(); };
  return outputs != nullptr && std::ranges::all_of(parts_with_tokens(grams), known) ? outputs : nullptr;
}

std::vector<GuardFold> guard_folds(const InputGrams& grams) {
  const std::vector<size_t> parts = parts_with_tokens(grams);
  if (parts.size() < 2) return {};
  std::vector<GuardFold> folds(std::min(parts.size(), kGuardFolds));
  for (size_t i = 0; i < parts.size(); ++i)
    for (size_t f = 0; f < folds.size(); ++f)
      (i % folds.size() == f ? folds[f].judged_on : folds[f].made_from).push_back(parts[i]);
  return folds;
}

double output_error(const at::Tensor& error, const at::Tensor& gram) {
  return (at::mm(error, gram) * error).sum(at::kDouble).item<double>();
}

double output_error(const at::Tensor& error, const at::Tensor& gram, const at::Tensor& outputs) {
  if (!outputs.defined()) return output_error(error, gram);
  return (at::mm(at::mm(outputs, error), gram) * error).sum(at::kDouble).item<double>();
}

double guarded_score(const std::vector<double>& errors, const std::vector<double>& baseline) {
  double sum = 0;
  size_t count = 0;
  for (size_t part = 0; part < errors.size(); ++part) {
    if (errors[part] > baseline[part]) return std::numeric_limits<double>::infinity();
    if (!(errors[part] > 0)) continue;  // nothing entered, or nothing is lost
    sum += std::log(errors[part] / baseline[part]);
    ++count;
  }
  return count > 0 ? sum / static_cast<double>(count) : 0;
}

std::vector<float> importance_of(const at::Tensor& gram) {
  const at::Tensor diagonal = gram.diagonal().clamp_min(0).to(at::kFloat).contiguous();
  return {diagonal.data_ptr<float>(), diagonal.data_ptr<float>() + diagonal.numel()};
}

}  // namespace vernier
