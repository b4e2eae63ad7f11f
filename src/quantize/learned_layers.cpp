#include "quantize/learned_layers.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <set>

#include "ops/parallel.h"

namespace vernier {

namespace {

constexpr size_t kMostJudgedOn = 16;  // windows

int64_t longest_of_text(const std::vector<CalibrationWindow>& text) {
  size_t positions = 1;
  for (const CalibrationWindow& window : text) positions = std::max(positions, window.tokens.size());
  return static_cast<int64_t>(positions);
}

Model with_candidate(const Model& model, const LayerCandidate& candidate) {
  Model changed = model;
  for (const auto& [id, values] : candidate.plain) changed.set_weight(id, values);
  for (const auto& [id, stored] : candidate.stored) changed.set_stored(id, stored);
  return changed;
}

AtenBlock block_of(const Model& model, const LayerCandidate& candidate, int layer) {
  const Model changed = with_candidate(model, candidate);
  return AtenModel(changed, 1, {at::kCPU, at::kFloat, /*layer_by_layer=*/true}).block(layer);
}

}  // namespace

LearnedLayers::LearnedLayers(const Model& model, const std::vector<CalibrationWindow>& text,
                             const std::vector<size_t>& parts, const at::Tensor& embedding,
                             const LearningSchedule& schedule, int threads)
    : made_(model),
      parts_(parts),
      schedule_(schedule),
      threads_(threads),
      exact_(model, longest_of_text(text), {at::kCPU, at::kFloat, /*layer_by_layer=*/true}) {
  const c10::NoGradGuard no_grad;
  for (const CalibrationWindow& window : text) {
    const at::Tensor ids =
        at::tensor(std::vector<int64_t>(window.tokens.begin(), window.tokens.end()), at::kLong).unsqueeze(0);
    wanted_.push_back(exact_.embed(ids));
    entering_.push_back(exact_.embed_from(embedding, ids));
  }
}

LearningText LearnedLayers::text_of_layer() const {
  std::set<size_t> known;
  for (size_t w = 0; w < parts_.size(); ++w)
    if (entering_[w].size(1) > 0) known.insert(parts_[w]);
  LearningText text;
  if (known.size() < 2) return text;
  const size_t held_back = *std::next(known.begin(), count_ % static_cast<std::ptrdiff_t>(known.size()));
  for (size_t w = 0; w < parts_.size(); ++w) (parts_[w] == held_back ? text.judged_on : text.learned_on).push_back(w);
  if (text.judged_on.size() > kMostJudgedOn) {
    for (size_t i = 0; i < kMostJudgedOn; ++i)
      text.judged_on[i] = text.judged_on[i * text.judged_on.size() / kMostJudgedOn];
    text.judged_on.resize(kMostJudgedOn);
  }
  return text;
}

void LearnedLayers::add(const LayerCandidate& rounded, const LayerCandidate& found,
                        const std::vector<LearnedMatrix>& learning, const at::Tensor& metric) {
  const c10::NoGradGuard no_grad;
  std::vector<at::Tensor> wanted = leaving_streams(exact_, exact_.block(count_), wanted_, threads_);
  const LayerProblem problem{exact_, made_.blueprint(), count_, entering_, wanted, metric, threads_};
  const LearningText text = text_of_layer();
  LayerCandidate best = found;
  AtenBlock block = block_of(made_, found, count_);
  if (!text.judged_on.empty()) {
    const std::vector<StoredMatrix> learned = learn_rounding(problem, block, learning, text, schedule_);
    std::map<TensorId, at::Tensor> values;
    for (size_t i = 0; i < learning.size(); ++i) {
      best.stored.insert_or_assign(learning[i].id, learned[i]);
      values[learning[i].id] = learned[i].values();
    }
    block = block_with(block, values);
    const AtenBlock nearest = block_of(made_, rounded, count_);
    if (layer_error(problem, nearest, text.judged_on) < layer_error(problem, block, text.judged_on)) {
      best = rounded;
      block = nearest;
    }
  }
  made_ = with_candidate(made_, best);
  entering_ = leaving_streams(exact_, block, entering_, threads_);
  wanted_ = std::move(wanted);
  ++count_;
}

}  // namespace vernier
