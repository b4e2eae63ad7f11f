#include "finetune/distilled_rows.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "ops/gpu_ops.h"

namespace vernier {

namespace {

/// Numbers at once: what is written of them is still in a GPU's cache when it is read.
constexpr int64_t kNumbersAtOnce = 4 << 20;

struct DistilledRows : torch::autograd::Function<DistilledRows> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& logits,
                            const at::Tensor& teacher) {
    const at::ScalarType type = logits.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    const int64_t classes = logits.size(-1), rows = logits.numel() / std::max<int64_t>(classes, 1);
    const at::Tensor own = logits.reshape({rows, classes}), other = teacher.reshape({rows, classes});
    const bool learns = logits.requires_grad();
    std::vector<int64_t> shape = logits.sizes().vec();
    context->saved_data["shape"] = shape;
    shape.pop_back();
    if (gpu::takes_logits(own) && gpu::takes_logits(other)) {
      const auto [of_rows, over] = gpu::distilled_rows(own, other, learns);
      context->save_for_backward({over});
      return of_rows.reshape(shape);
    }
    at::Tensor kl = at::empty({rows}, own.options().dtype(type));
    at::Tensor excess = learns ? at::empty({rows, classes}, own.options()) : at::Tensor();
    const int64_t at_once = std::max<int64_t>(kNumbersAtOnce / std::max<int64_t>(classes, 1), 1);
    for (int64_t row = 0; row < rows; row += at_once) {
      const int64_t count = std::min(at_once, rows - row);
      const at::Tensor log_p = other.narrow(0, row, count).log_softmax(-1, type);
      const at::Tensor log_q = own.narrow(0, row, count).log_softmax(-1, type);
      const at::Tensor p = log_p.exp();
      at::Tensor part = kl.narrow(0, row, count);
      at::sum_out(part, p * (log_p - log_q), {-1});
      if (learns) excess.narrow(0, row, count).copy_(log_q.exp().sub_(p));
    }
    context->save_for_backward({excess});
    return kl.reshape(shape);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const c10::NoGradGuard once;
    const at::Tensor excess = context->get_saved_variables()[0];
    at::Tensor out = excess;
    if (gpu::takes_logits(excess)) {
      gpu::scale_rows(excess, gradients[0].to(at::kFloat).reshape(-1).contiguous());
      excess.unsafeGetTensorImpl()->bump_version();  // a second time would be wrong, and is refused
    } else {
      out = at::empty_like(excess);
      at::mul_out(out, excess, gradients[0].reshape({-1, 1}));
    }
    return {out.reshape(context->saved_data["shape"].toIntVector()), at::Tensor()};
  }
};

}  // namespace

at::Tensor distilled_rows(const at::Tensor& logits, const at::Tensor& teacher) {
  return DistilledRows::apply(logits, teacher.detach());
}

}  // namespace vernier
