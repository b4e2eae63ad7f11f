#include "quantize/fold.h"

#include <ATen/ATen.h>

namespace vernier {

namespace {

std::vector<TensorId> consumers_of(const Model& model, const SiteId& site) {
  std::vector<TensorId> ids;
  for (const TensorSpec& tensor : model.blueprint().tensors())
    if (tensor.input == site) ids.push_back(tensor.id);
  return ids;
}

std::vector<TensorId> those_of(const Model& model, std::initializer_list<TensorRole> roles, int layer) {
  std::vector<TensorId> ids;
  for (const TensorRole role : roles)
    if (model.has({role, layer})) ids.push_back({role, layer});
  return ids;
}

}  // namespace

std::vector<FoldSite> fold_sites(const Model& model, int layer) {
  const LayerConfig& config = model.config().layer(layer);
  const bool dense = config.feed_forward.experts.count == 0;
  std::vector<FoldSite> all;
  const auto add = [&](Site site, std::initializer_list<TensorRole> producers) -> FoldSite& {
    const SiteId id{site, layer};
    return all.emplace_back(FoldSite{id, consumers_of(model, id), those_of(model, producers, layer)});
  };
  if (config.pre_norm && !config.shared_norm) {
    add(Site::kAttnInput, {TensorRole::kAttnNorm, TensorRole::kAttnNormBias});
    if (dense) add(Site::kFfnInput, {TensorRole::kFfnNorm, TensorRole::kFfnNormBias});
  }
  FoldSite& values = add(Site::kAttnOutputInput, {TensorRole::kAttnV, TensorRole::kAttnVBias});
  values.head_dim = config.attention.head_dim;
  values.shared = config.attention.queries_per_kv();
  if (dense && config.feed_forward.gated) add(Site::kFfnDownInput, {TensorRole::kFfnUp, TensorRole::kFfnUpBias});
  return all;
}

at::Tensor shared_scales(const FoldSite& fold, const at::Tensor& scales) {
  if (fold.shared == 1) return scales;
  const at::Tensor by_head = scales.log().view({-1, fold.shared, fold.head_dim});
  return by_head.mean(1, /*keepdim=*/true).expand_as(by_head).exp().reshape({-1});
}

at::Tensor row_scales(const FoldSite& fold, const at::Tensor& scales) {
  return fold.shared == 1 ? scales : scales.view({-1, fold.shared, fold.head_dim}).select(1, 0).reshape({-1});
}

void apply_fold(Model& model, const FoldSite& fold, const at::Tensor& scales) {
  for (const TensorId& id : fold.consumers)
    model.set_weight(id, (model.weight(id).detach().to(at::kFloat) * scales).contiguous());
  const at::Tensor rows = row_scales(fold, scales);
  for (const TensorId& id : fold.producers) {
    const at::Tensor values = model.weight(id).detach().to(at::kFloat);
    model.set_weight(id, (values / (values.dim() == 2 ? rows.unsqueeze(1) : rows)).contiguous());
  }
}

at::Tensor folded_gram(const at::Tensor& gram, const at::Tensor& scales) {
  return gram / scales.unsqueeze(0) / scales.unsqueeze(1);
}

}  // namespace vernier
