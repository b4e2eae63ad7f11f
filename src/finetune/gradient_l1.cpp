#include "finetune/gradient_l1.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

namespace vernier {

at::Tensor gradient_l1(const at::Tensor& loss, const std::vector<at::Tensor>& weights) {
  at::Tensor sum = at::zeros({}, loss.options());
  for (const at::Tensor& gradient : torch::autograd::grad({loss}, weights, {}, /*retain_graph=*/true,
                                                          /*create_graph=*/true, /*allow_unused=*/true))
    if (gradient.defined()) sum = sum + gradient.abs().sum();
  return sum;
}

}  // namespace vernier
