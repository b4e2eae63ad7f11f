#include "finetune/adamw.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cmath>

namespace vernier {

AdamW::AdamW(std::vector<AdamWParameter> parameters, const AdamWOptions& options)
    : parameters_(std::move(parameters)), options_(options) {
  for (const AdamWParameter& parameter : parameters_) {
    first_.push_back(at::zeros_like(parameter.value.detach()));
    second_.push_back(at::zeros_like(parameter.value.detach()));
  }
}

void AdamW::step(int64_t count, const std::vector<at::Tensor>& gradients, double learning_rate) {
  const c10::NoGradGuard no_grad;
  const double correction_1 = 1 - std::pow(options_.beta_1, static_cast<double>(count));
  const double correction_2 = 1 - std::pow(options_.beta_2, static_cast<double>(count));
  for (size_t p = 0; p < parameters_.size(); ++p) {
    if (!gradients[p].defined()) continue;
    const double rate = learning_rate * parameters_[p].rate_factor;
    at::Tensor value = parameters_[p].value.detach();  // the same memory
    if (parameters_[p].weight_decay != 0) value.mul_(1 - rate * parameters_[p].weight_decay);
    first_[p].mul_(options_.beta_1).add_(gradients[p], 1 - options_.beta_1);
    second_[p].mul_(options_.beta_2).addcmul_(gradients[p], gradients[p], 1 - options_.beta_2);
    const at::Tensor divisor = (second_[p].sqrt() / std::sqrt(correction_2)).add_(options_.epsilon);
    value.addcdiv_(first_[p], divisor, -rate / correction_1);
  }
}

}  // namespace vernier
