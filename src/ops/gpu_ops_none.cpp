// A libtorch without CUDA: plain operations do all of it.

#include "base/fail.h"
#include "ops/gpu_ops.h"

namespace vernier::gpu {

namespace {
[[noreturn]] void absent() { fail(ErrorKind::kInternal, "this build has no kernels of its own for a GPU"); }
}  // namespace

bool takes_norm(const at::Tensor&, const at::Tensor&) { return false; }
at::Tensor rms_norm(const at::Tensor&, const at::Tensor&, double) { absent(); }
bool takes_heads(const AttentionConfig&, const at::Tensor&) { return false; }
TurnedHeads turned_heads(const AttentionConfig&, const at::Tensor&, const at::Tensor&, const at::Tensor&) { absent(); }
bool takes_gate(const FeedForwardConfig&, const at::Tensor&, const at::Tensor&) { return false; }
at::Tensor gated_silu(const at::Tensor&, const at::Tensor&) { absent(); }
bool takes_logits(const at::Tensor&) { return false; }
std::pair<at::Tensor, at::Tensor> distilled_rows(const at::Tensor&, const at::Tensor&, bool) { absent(); }
void scale_rows(const at::Tensor&, const at::Tensor&) { absent(); }
at::Tensor drawn_tokens(const at::Tensor&, const at::Tensor&, const at::Tensor&, const at::Tensor&) { absent(); }
bool takes_step(const at::Tensor&) { return false; }
void adamw_step(const AdamWTensors&, const AdamWRates&) { absent(); }

}  // namespace vernier::gpu
