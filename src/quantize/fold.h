#pragma once

// Scales of a site's channels that the matrices take on and what makes the channels takes off: W diag(s) (x / s) = W x.
// The model's function stays; what a scheme can hold of W diag(s) differs.
//
//   for (const FoldSite& fold : fold_sites(model, 3)) apply_fold(folded, fold, scales);

#include <ATen/core/Tensor.h>

#include <map>
#include <vector>

#include "vernier/model.h"
#include "vernier/value_search.h"

namespace vernier {

struct FoldSite {
  SiteId site;
  std::vector<TensorId> consumers;  ///< all that multiply it
  std::vector<TensorId> producers;  ///< norm, or matrix by its rows, each with its bias: one entry or row a channel
  /// Channels that one row makes: query heads share the values of a key head. @shape heads = kv_heads * shared
  int64_t head_dim = 0, shared = 1;
};

/// Where that is possible in a layer: norm to q, k, v; v to o; norm to gate and up (or up alone); up to down where a gate
/// multiplies it. Not where experts, or both halves of a layer, read the same channels.
std::vector<FoldSite> fold_sites(const Model& model, int layer);

/// Scales that the producers can take off: those of channels that one row makes become their geometric mean.
/// @shape float32 [channels], positive
at::Tensor shared_scales(const FoldSite& fold, const at::Tensor& scales);
/// What the rows of the producers are divided by, of scales as shared_scales gives: one a channel, or a row of several.
at::Tensor row_scales(const FoldSite& fold, const at::Tensor& scales);
/// @param scales as shared_scales gives
void apply_fold(Model& model, const FoldSite& fold, const at::Tensor& scales);
/// Those of the channels after folding. @shape symmetric [channels, channels]
at::Tensor folded_gram(const at::Tensor& gram, const at::Tensor& scales);

/// What the choice of scales is judged by.
struct FoldInput {
  const Model& model;
  const FoldSite& fold;
  const std::map<TensorId, Scheme>& schemes;
  const InputGrams& grams;
  const ChannelStatistics& statistics;
  int threads;
};
/// Undefined where none are better than none. @cost for kAwq and kGuarded a search of ranges for every exponent
at::Tensor choose_scales(ValueSearch::Folding folding, const FoldInput& in);

}  // namespace vernier
