#include "finetune/adamw.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace vernier {

namespace {

/// Tensors that are changed alike: one call for all of them.
struct AlikeTensors {
  double rate_factor = 1, weight_decay = 0;
  std::vector<at::Tensor> values, gradients, first, second;
};

}  // namespace

AdamW::AdamW(std::vector<AdamWParameter> parameters, const AdamWOptions& options)
    : parameters_(std::move(parameters)), options_(options) {
  for (const AdamWParameter& parameter : parameters_) {
    first_.push_back(at::zeros_like(parameter.value.detach()));
    second_.push_back(at::zeros_like(parameter.value.detach()));
  }
}

void AdamW::step(int64_t count, const std::vector<at::Tensor>& gradients, double learning_rate) {
  const c10::NoGradGuard no_grad;
  std::vector<AlikeTensors> alike;
  for (size_t p = 0; p < parameters_.size(); ++p) {
    if (!gradients[p].defined()) continue;
    const AdamWParameter& own = parameters_[p];
    auto found = std::ranges::find_if(alike, [&](const AlikeTensors& some) {
      return some.rate_factor == own.rate_factor && some.weight_decay == own.weight_decay;
    });
    if (found == alike.end()) found = alike.insert(found, {own.rate_factor, own.weight_decay, {}, {}, {}, {}});
    found->values.push_back(own.value.detach());  // the same memory
    found->gradients.push_back(gradients[p]);
    found->first.push_back(first_[p]);
    found->second.push_back(second_[p]);
  }
  const double correction_1 = 1 - std::pow(options_.beta_1, static_cast<double>(count));
  const double correction_2 = 1 - std::pow(options_.beta_2, static_cast<double>(count));
  for (const AlikeTensors& some : alike) {
    const double rate = learning_rate * some.rate_factor;
    if (some.weight_decay != 0) at::_foreach_mul_(some.values, 1 - rate * some.weight_decay);
    at::_foreach_mul_(some.first, options_.beta_1);
    at::_foreach_add_(some.first, some.gradients, 1 - options_.beta_1);
    at::_foreach_mul_(some.second, options_.beta_2);
    at::_foreach_addcmul_(some.second, some.gradients, some.gradients, 1 - options_.beta_2);
    const std::vector<at::Tensor> divisors = at::_foreach_sqrt(some.second);
    at::_foreach_div_(divisors, std::sqrt(correction_2));
    at::_foreach_add_(divisors, options_.epsilon);
    at::_foreach_addcdiv_(some.values, some.first, divisors, -rate / correction_1);
  }
}

}  // namespace vernier
