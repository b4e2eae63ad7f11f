#include "finetune/adamw.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cmath>

#include "ops/gpu_ops.h"

namespace vernier {

AdamW::AdamW(std::vector<AdamWParameter> parameters, const AdamWOptions& options)
    : parameters_(std::move(parameters)), options_(options) {
  for (const AdamWParameter& parameter : parameters_) {
    first_.push_back(at::zeros_like(parameter.value.detach()));
    second_.push_back(at::zeros_like(parameter.value.detach()));
  }
}

void AdamW::set_rates(const std::vector<double>& factors, const std::vector<at::Tensor>& widths) {
  for (size_t p = 0; p < parameters_.size(); ++p) {
    parameters_[p].rate_factor = factors[p];
    if (parameters_[p].widths.defined()) parameters_[p].widths.copy_(widths[p]);
  }
}

void AdamW::step(int64_t count, const std::vector<at::Tensor>& gradients, double learning_rate,
                 const at::Tensor& factor) {
  const c10::NoGradGuard no_grad;
  const double correction_1 = 1 - std::pow(options_.beta_1, static_cast<double>(count));
  const double correction_2 = 1 - std::pow(options_.beta_2, static_cast<double>(count));
  const at::Tensor single = factor.defined() ? factor.to(at::kFloat) : factor;
  // One call for all tensors.
  std::vector<at::Tensor> values, own, first, second, widths;
  std::vector<at::Scalar> kept, rates;
  bool decays = false;
  for (size_t p = 0; p < parameters_.size(); ++p) {
    if (!gradients[p].defined()) continue;
    const AdamWParameter& parameter = parameters_[p];
    const double rate = learning_rate * parameter.rate_factor;
    const at::Tensor value = parameter.value.detach();  // the same memory
    if (gpu::takes_step(value)) {
      gpu::adamw_step({value, first_[p], second_[p], gradients[p].contiguous(), parameter.widths, single},
                      {.beta_1 = static_cast<float>(options_.beta_1),
                       .beta_2 = static_cast<float>(options_.beta_2),
                       .epsilon = static_cast<float>(options_.epsilon),
                       .kept = static_cast<float>(1 - rate * parameter.weight_decay),
                       .rate = static_cast<float>(rate / correction_1),
                       .root_of_second = static_cast<float>(std::sqrt(correction_2))});
      continue;
    }
    values.push_back(value);
    own.push_back(factor.defined() ? gradients[p] * factor : gradients[p]);
    first.push_back(first_[p]);
    second.push_back(second_[p]);
    widths.push_back(parameter.widths);
    kept.emplace_back(1 - rate * parameter.weight_decay);
    rates.emplace_back(-rate / correction_1);
    decays = decays || parameter.weight_decay != 0;
  }
  if (values.empty()) return;
  if (decays) at::_foreach_mul_(values, kept);
  at::_foreach_mul_(first, options_.beta_1);
  at::_foreach_add_(first, own, 1 - options_.beta_1);
  at::_foreach_mul_(second, options_.beta_2);
  at::_foreach_addcmul_(second, own, own, 1 - options_.beta_2);
  const std::vector<at::Tensor> divisors = at::_foreach_sqrt(second);
  at::_foreach_div_(divisors, std::sqrt(correction_2));
  at::_foreach_add_(divisors, options_.epsilon);
  for (size_t i = 0; i < values.size(); ++i)
    if (widths[i].defined()) divisors[i].div_(widths[i]);
  at::_foreach_addcdiv_(values, first, divisors, rates);
}

}  // namespace vernier
