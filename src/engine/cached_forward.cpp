#include "engine/cached_forward.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "base/fail.h"

namespace vernier {

CachedForward::CachedForward(const AtenModel& model, int64_t texts, int64_t longest)
    : model_(model), texts_(texts), longest_(longest), kept_(static_cast<size_t>(model.config().depth())) {
  for (KeptTokens& kept : kept_) kept.longest = longest;
}

at::Tensor CachedForward::next(const at::Tensor& ids) {
  const c10::NoGradGuard no_grad;
  const int64_t fresh = ids.size(1);
  if (ids.size(0) != texts_ || fresh < 1 || count_ + fresh > longest_)
    fail(ErrorKind::kInvalidArgument, "forward: {}: {} tokens of {} texts after {}: expected {} texts of at most {}",
         model_.name(), fresh, ids.size(0), count_, texts_, longest_);
  AtenOps ops = model_.ops_after(count_, fresh);
  ops.keep_tokens(&kept_);
  const at::Tensor stream = model_.embed_from(model_.embedding(), ids, count_);
  const at::Tensor hidden = model_.finish(ops, stream, 0, fresh - 1);
  count_ += fresh;
  return model_.logits_by(model_.head(), hidden).select(1, 0);
}

int64_t CachedForward::bytes_per_text(const ModelConfig& config, int64_t longest) {
  int64_t columns = 0;
  for (int layer = 0; layer < config.depth(); ++layer) columns += 2 * config.layer(layer).attention.kv_columns();
  return columns * longest * static_cast<int64_t>(sizeof(float));
}

}  // namespace vernier
