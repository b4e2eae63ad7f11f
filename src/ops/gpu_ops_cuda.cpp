#include <ATen/ATen.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/csrc/autograd/custom_function.h>

#include "base/fail.h"
#include "ops/gpu_kernels.h"
#include "ops/gpu_ops.h"

namespace vernier::gpu {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// On the tensor's device, in the order of what is done there now.
template <class Start>
void launch(const at::Tensor& t, const Start& start) {
  const c10::cuda::CUDAGuard on_device(t.device());
  start(static_cast<void*>(c10::cuda::getCurrentCUDAStream().stream()));
  C10_CUDA_CHECK(cudaGetLastError());
}

bool is_plain(const at::Tensor& t, at::ScalarType type) { return t.is_cuda() && t.scalar_type() == type; }

/// What kernels read 16 bytes at a time; a tensor that is copied into sequence first is too.
bool is_readable(const at::Tensor& t, at::ScalarType type) {
  return is_plain(t, type) && t.numel() > 0 &&
         (!t.is_contiguous() || reinterpret_cast<uintptr_t>(t.data_ptr()) % 16 == 0);
}

struct Norm : torch::autograd::Function<Norm> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& given, const at::Tensor& weight,
                            double epsilon) {
    const at::Tensor x = given.contiguous(), gain = weight.contiguous();
    const int64_t width = x.size(-1), rows = x.numel() / width;
    const at::Tensor y = at::empty(x.sizes(), x.options().dtype(at::kBFloat16)), scale = at::empty({rows}, x.options());
    launch(x, [&](void* stream) {
      rms_norm(x.data_ptr<float>(), gain.data_ptr<float>(), y.data_ptr(), scale.data_ptr<float>(), rows, width,
               static_cast<float>(epsilon), stream);
    });
    context->save_for_backward({x, gain, scale});
    return y;
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &gain = saved[1], &scale = saved[2];
    const at::Tensor by_y = gradients[0].to(at::kBFloat16).contiguous();
    const int64_t width = x.size(-1);
    const at::Tensor by_x = at::empty_like(x), sums = at::empty({kNormBlocks, width}, x.options());
    launch(x, [&](void* stream) {
      if (!rms_norm_gradient(x.data_ptr<float>(), gain.data_ptr<float>(), scale.data_ptr<float>(), by_y.data_ptr(),
                             by_x.data_ptr<float>(), sums.data_ptr<float>(), scale.numel(), width, stream))
        fail(ErrorKind::kInternal, "a norm of rows of {} numbers was taken for a kernel's", width);
    });
    return {by_x, sums.sum(0), at::Tensor()};
  }
};

/// What a gradient needs to know of heads; their configuration may be gone by then.
struct HeadCounts {
  int64_t queries, kv, width;
};

Heads heads_of(const HeadCounts& counts, int64_t texts, int64_t time, const at::Tensor& cos, const at::Tensor& sin) {
  return {.tokens = texts * time,
          .time = time,
          .queries = counts.queries,
          .kv = counts.kv,
          .width = counts.width,
          .cos = cos.data_ptr<float>(),
          .sin = sin.data_ptr<float>()};
}

/// As a kernel reads it: with the width in sequence, and eight numbers at once.
at::Tensor readable(const at::Tensor& t) {
  const at::Tensor x = t.to(at::kBFloat16);
  const bool is_aligned = x.stride(3) == 1 && x.stride(0) % 8 == 0 && x.stride(1) % 8 == 0 && x.stride(2) % 8 == 0 &&
                          x.storage_offset() % 8 == 0;
  return is_aligned ? x : x.contiguous();
}

HeadsGradient gradient_of(const at::Tensor& x) {
  return {.data = x.data_ptr(), .text = x.stride(0), .head = x.stride(2), .time = x.stride(1)};
}

struct Turned : torch::autograd::Function<Turned> {
  static variable_list forward(AutogradContext* context, const at::Tensor& given, const at::Tensor& cos,
                               const at::Tensor& sin, const HeadCounts* counts) {
    const at::Tensor qkv = given.contiguous();
    const int64_t texts = qkv.size(0), time = qkv.size(1);
    variable_list out;  // the heads of a token beside each other, as the product that reads what is made of them has it
    for (int i = 0; i < 3; ++i) out.push_back(at::empty({texts, time, counts->queries, counts->width}, qkv.options()));
    launch(qkv, [&](void* stream) {
      turned_heads(heads_of(*counts, texts, time, cos, sin), qkv.data_ptr(), out[0].data_ptr(), out[1].data_ptr(),
                   out[2].data_ptr(), stream);
    });
    context->save_for_backward({cos, sin});
    context->saved_data["queries"] = counts->queries;
    context->saved_data["kv"] = counts->kv;
    context->saved_data["width"] = counts->width;
    return out;
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto known = [&](const char* name) { return context->saved_data[name].toInt(); };
    const HeadCounts counts{known("queries"), known("kv"), known("width")};
    const variable_list saved = context->get_saved_variables();
    variable_list own;
    for (const at::Tensor& each : gradients) own.push_back(readable(each));
    const int64_t texts = own[0].size(0), time = own[0].size(1);
    const at::Tensor by_qkv =
        at::empty({texts, time, (counts.queries + 2 * counts.kv) * counts.width}, own[0].options());
    launch(by_qkv, [&](void* stream) {
      turned_heads_gradient(heads_of(counts, texts, time, saved[0], saved[1]), gradient_of(own[0]), gradient_of(own[1]),
                            gradient_of(own[2]), by_qkv.data_ptr(), stream);
    });
    return {by_qkv, at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

struct Gate : torch::autograd::Function<Gate> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& given_gate, const at::Tensor& given_up) {
    const at::Tensor gate = given_gate.contiguous(), up = given_up.contiguous(), out = at::empty_like(gate);
    launch(gate,
           [&](void* stream) { gated_silu(gate.data_ptr(), up.data_ptr(), out.data_ptr(), gate.numel(), stream); });
    context->save_for_backward({gate, up});
    return out;
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor by_out = gradients[0].to(at::kBFloat16).contiguous(), by_gate = at::empty_like(saved[0]),
                     by_up = at::empty_like(saved[1]);
    launch(by_out, [&](void* stream) {
      gated_silu_gradient(saved[0].data_ptr(), saved[1].data_ptr(), by_out.data_ptr(), by_gate.data_ptr(),
                          by_up.data_ptr(), by_out.numel(), stream);
    });
    return {by_gate, by_up};
  }
};

}  // namespace

bool takes_norm(const at::Tensor& x, const at::Tensor& weight) {
  constexpr int64_t kWidest = 12288;  // a row of sums in a block's own memory
  return is_readable(x, at::kFloat) && is_readable(weight, at::kFloat) && weight.numel() == x.size(-1) &&
         x.size(-1) % 4 == 0 && x.size(-1) <= kWidest;
}

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  return Norm::apply(x, weight, epsilon);
}

bool takes_heads(const AttentionConfig& config, const at::Tensor& qkv) {
  return is_readable(qkv, at::kBFloat16) && config.rotary && config.head_dim % 16 == 0 &&
         config.heads % config.kv_heads == 0;
}

TurnedHeads turned_heads(const AttentionConfig& config, const at::Tensor& qkv, const at::Tensor& cos,
                         const at::Tensor& sin) {
  const HeadCounts counts{config.heads, config.kv_heads, config.head_dim};
  const variable_list all = Turned::apply(qkv, cos.contiguous(), sin.contiguous(), &counts);
  return {all[0].transpose(1, 2), all[1].transpose(1, 2), all[2].transpose(1, 2)};
}

bool takes_gate(const FeedForwardConfig& config, const at::Tensor& gate, const at::Tensor& up) {
  return config.gated && config.activation == Activation::kSilu && is_readable(gate, at::kBFloat16) &&
         is_readable(up, at::kBFloat16) && gate.sizes() == up.sizes() && gate.numel() % 8 == 0;
}

at::Tensor gated_silu(const at::Tensor& gate, const at::Tensor& up) { return Gate::apply(gate, up); }

bool takes_logits(const at::Tensor& logits) { return is_readable(logits, at::kBFloat16) && logits.size(-1) % 8 == 0; }

std::pair<at::Tensor, at::Tensor> distilled_rows(const at::Tensor& own, const at::Tensor& teacher, bool learns) {
  const at::Tensor x = own.contiguous(), t = teacher.contiguous();
  const at::Tensor kl = at::empty({x.size(0)}, x.options().dtype(at::kFloat));
  const at::Tensor excess = learns ? at::empty_like(x) : at::Tensor();
  launch(x, [&](void* stream) {
    distilled_rows(x.data_ptr(), t.data_ptr(), kl.data_ptr<float>(), learns ? excess.data_ptr() : nullptr, x.size(0),
                   x.size(1), stream);
  });
  return {kl, excess};
}

void scale_rows(const at::Tensor& rows, const at::Tensor& factors) {
  launch(rows, [&](void* stream) {
    scale_rows(rows.data_ptr(), factors.data_ptr<float>(), rows.size(0), rows.size(1), stream);
  });
}

at::Tensor drawn_tokens(const at::Tensor& ids, const at::Tensor& logits, const at::Tensor& drawn,
                        const at::Tensor& until) {
  const at::Tensor in = ids.contiguous(), answers = logits.contiguous(), which = drawn.contiguous(),
                   at_share = until.contiguous(), out = at::empty_like(in);
  launch(in, [&](void* stream) {
    drawn_tokens(in.data_ptr<int64_t>(), answers.data_ptr(), which.data_ptr<bool>(), at_share.data_ptr<float>(),
                 out.data_ptr<int64_t>(), in.size(0), in.size(1), answers.size(2), stream);
  });
  return out;
}

bool takes_step(const at::Tensor& value) {
  return is_plain(value, at::kFloat) && value.is_contiguous() && value.numel() > 0;
}

void adamw_step(const AdamWTensors& t, const AdamWRates& rates) {
  const auto read = [](const at::Tensor& x) { return x.defined() ? x.data_ptr<float>() : nullptr; };
  const AdamWNumbers numbers{.value = t.value.data_ptr<float>(),
                             .first = t.first.data_ptr<float>(),
                             .second = t.second.data_ptr<float>(),
                             .gradient = t.gradient.data_ptr<float>(),
                             .widths = read(t.widths),
                             .factor = read(t.factor),
                             .count = t.value.numel()};
  launch(t.value, [&](void* stream) { adamw_step(numbers, rates, stream); });
}

}  // namespace vernier::gpu
