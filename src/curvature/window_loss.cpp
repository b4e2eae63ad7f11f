#include <ATen/ATen.h>

#include "base/fail.h"
#include "engine/aten_model.h"
#include "model/language_model.h"
#include "vernier/curvature.h"

namespace vernier {

namespace {

/// ids [1, positions] of what predicts, on the device of the weights.
at::Tensor ids_before_last(const Model& model, const TokenWindow& window) {
  const std::vector<int64_t> ids(window.tokens.begin(), window.tokens.end() - 1);
  return at::tensor(ids, at::kLong).unsqueeze(0).to(model.weight(model.output_matrix()).device());
}

at::Tensor nll_of_window(const Model& model, const TokenWindow& window) {
  const at::Tensor logits = forward_logits(model, ids_before_last(model, window), window.first_row)[0];
  const std::vector<int64_t> labels(window.tokens.begin() + window.first_row + 1, window.tokens.end());
  const at::Tensor wanted = at::tensor(labels, at::kLong).to(logits.device()).unsqueeze(-1);
  return -logits.log_softmax(-1).gather(-1, wanted).sum();
}

}  // namespace

LossOfExamples loss_of_windows(const EvaluationData& data) {
  LossOfExamples loss{.name = data.name, .count = static_cast<int64_t>(data.windows.size())};
  for (const TokenWindow& window : data.windows) loss.weights.push_back(static_cast<double>(window.scored()));
  loss.sum = [&data](const Model& model, std::span<const int64_t> examples) {
    require_language_model(model.config(), model.source().name, "curvature");
    at::Tensor sum;
    for (const int64_t example : examples) {
      const at::Tensor own = nll_of_window(model, data.windows[static_cast<size_t>(example)]);
      sum = sum.defined() ? sum + own : own;
    }
    return sum;
  };
  loss.observe = [&data](const Model& model, std::span<const int64_t> examples, const auto& visit) {
    require_language_model(model.config(), model.source().name, "curvature");
    const AtenObserver observer = [&](const SiteId& site, const at::Tensor& x) {
      if (site.expert < 0) visit(site, x.reshape({-1, x.size(-1)}));
    };
    for (const int64_t example : examples) {
      const at::Tensor ids = ids_before_last(model, data.windows[static_cast<size_t>(example)]);
      check_ids(model, ids, 0);
      const AtenModel ready(model, ids.size(1));
      const AtenOps ops = ready.ops(ids.size(1), &observer);
      observer(SiteId{Site::kOutputInput}, ready.finish(ops, ready.embed(ids), 0, 0));
    }
  };
  return loss;
}

}  // namespace vernier
