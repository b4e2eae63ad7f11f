#include "quantize/grid_search.h"
#include "quantize/guard.h"
#include "quantize/value_search_table.h"
#include "vernier/quantize_tensor.h"

namespace vernier {

std::vector<std::byte> search_codes(const SearchInput& in, const GridRecipe& recipe, double shrink) {
  if (in.grams == nullptr || in.scheme.held_by(Container::kPlainTensors))
    return quantize_bytes(in.scheme, in.weight, in.importance, in.threads, in.what);
  const at::Tensor gram = mean_gram(*in.grams, parts_with_tokens(*in.grams));
  const GridSearch matrix(in);
  const Curvature curvature = curvature_of(gram, shrink, matrix.joint_cols(), in.threads);
  return matrix.make(recipe, importance_of(gram), &curvature);
}

ValueSearch gptq_search() {
  return {.name = "gptq",
          .about = "column by column, each one's error made up for by the rest",
          .source = "GPTQ (arXiv:2210.17323): act-order, static groups, damping 0.01 of each channel",
          .needs = ValueSearch::Needs::kGram,
          .run = [](const SearchInput& in) { return SearchedValues{search_codes(in, {.feed_back = true}, 0.01)}; }};
}

}  // namespace vernier
