#include "quantize/learn_rounding.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <numeric>

#include "base/counter_random.h"
#include "model/block_layout.h"
#include "quantize/trained_matrix.h"

namespace vernier {

namespace {

constexpr int kJudgements = 10;  // on the way, and as often codebooks of several weights are searched anew
/// Of SignRound's rate, which begins from rounding. Codes that a search found make up for each other, and at the full rate
/// so many move at once that the layer's error doubles in the first steps and does not come back.
constexpr double kShareOfRate = 0.15;
/// Of that rate, for a factor of the scale: it moves all values of its block.
constexpr double kShareOfFactors = 0.2;
/// Of the loss: the matrices' plain errors.
constexpr double kPlainShare = 0.1;
constexpr size_t kMostCosted = 16;  // windows that plain costs are taken from
constexpr double kSmallestFactor = 0.5, kLargestFactor = 1.5;

class LearningMatrix {
 public:
  explicit LearningMatrix(const LearnedMatrix& given)
      : id_(given.id),
        matrix_(given.start.scheme(), given.start.rows(), given.start.cols(), given.importance, at::kCPU,
                ScalesLearn::kBySize),
        weight_(given.weight) {
    matrix_.hold(given.start);
    // In the middle of what it was rounded to, where that is another level than its nearest: it reaches half a level around.
    // Elsewhere as it is: rates are a small part of a level here, and nothing is tipped at once.
    const at::Tensor values = given.start.values();
    const at::Tensor own = matrix_.is_joint() ? values : given.weight;
    latent_ = at::where(seen_of(own) == values, own, values).detach().clone();
    const at::Tensor reach = matrix_.level_widths(latent_) / 2;
    rate_ = 2 * reach;
    lowest_ = latent_ - reach;
    highest_ = latent_ + reach;
    latent_.set_requires_grad(true);
    if (const LearnedSteps* steps = matrix_.learned_steps())
      for (const LearnedLeaf& leaf : steps->leaves()) scales_.push_back({leaf.value, leaf.value.detach().clone()});
  }

  const TensorId& id() const { return id_; }
  at::Tensor seen() const { return seen_of(latent_); }
  StoredMatrix stored() const { return matrix_.stored(latent_); }
  void recode(int threads) { matrix_.recode(latent_.detach(), threads); }

  /// The gradient with that of the plain error in its share. @param tokens that it is the sum over
  at::Tensor with_plain(const at::Tensor& gradient, const PlainCosts& costs, double tokens) const {
    return gradient * (1 - kPlainShare) +
           (seen() - weight_) * costs.rows.unsqueeze(1) * costs.cols * (kPlainShare * tokens);
  }
  /// @param gradient by what is seen; @param rate in levels
  void step(const at::Tensor& gradient, double rate) {
    std::vector<at::Tensor> leaves{latent_};
    for (const Scale& scale : scales_) leaves.push_back(scale.value);
    const std::vector<at::Tensor> gradients = [&] {
      const c10::AutoGradMode with_gradients(true);
      return torch::autograd::grad({matrix_.seen(latent_)}, leaves, {gradient}, {}, /*create_graph=*/false,
                                   /*allow_unused=*/true);
    }();
    const c10::NoGradGuard no_grad;
    at::Tensor latent = latent_.detach();
    latent.sub_(gradients[0].sign() * rate_, rate);
    latent.copy_(at::minimum(at::maximum(latent, lowest_), highest_));
    for (size_t i = 0; i < scales_.size(); ++i)
      if (gradients[i + 1].defined()) scales_[i].step(gradients[i + 1], rate * kShareOfFactors);
  }

 private:
  at::Tensor seen_of(const at::Tensor& latent) const {
    const c10::NoGradGuard no_grad;
    return matrix_.seen(latent);
  }
  /// Scales, numbers of blocks or integers of segments: each by a factor of where it began, whose sign it keeps.
  struct Scale {
    at::Tensor value, start;
    void step(const at::Tensor& gradient, double rate) const {
      at::Tensor now = value.detach();
      now.sub_(gradient.sign() * start.abs(), rate);
      now.copy_(start *
                (now / at::where(start == 0, at::ones_like(start), start)).clamp(kSmallestFactor, kLargestFactor));
    }
  };
  TensorId id_;
  TrainedMatrix matrix_;
  at::Tensor weight_, latent_, lowest_, highest_, rate_;
  std::vector<Scale> scales_;
};

/// Windows of a step: one round over all of them after another, each in an order of its own.
std::vector<size_t> windows_of_step(const std::vector<size_t>& all, const LearningSchedule& schedule, int step) {
  const auto count = static_cast<int64_t>(all.size());
  std::vector<size_t> chosen;
  std::vector<size_t> order;
  int64_t round_of_order = -1;
  for (int64_t i = 0; i < std::min(schedule.windows, count); ++i) {
    const int64_t place = step * std::min(schedule.windows, count) + i, round = place / count;
    if (round != round_of_order) {
      order = all;
      for (int64_t k = count - 1; k > 0; --k)
        std::swap(
            order[static_cast<size_t>(k)],
            order[static_cast<size_t>(random_below(schedule.seed, static_cast<uint64_t>(round * count + k), k + 1))]);
      round_of_order = round;
    }
    chosen.push_back(order[static_cast<size_t>(place % count)]);
  }
  return chosen;
}

std::vector<StoredMatrix> all_stored(const std::vector<LearningMatrix>& matrices) {
  std::vector<StoredMatrix> stored;
  for (const LearningMatrix& matrix : matrices) stored.push_back(matrix.stored());
  return stored;
}

AtenBlock seen_block(const AtenBlock& block, const std::vector<LearningMatrix>& matrices) {
  std::map<TensorId, at::Tensor> values;
  for (const LearningMatrix& matrix : matrices) values[matrix.id()] = matrix.seen();
  return block_with(block, values);
}

}  // namespace

AtenBlock block_with(const AtenBlock& block, const std::map<TensorId, at::Tensor>& values) {
  AtenBlock changed = block;
  for_each_product(changed, [&](AtenStack& part, const std::vector<TensorId>& ids) {
    for (size_t i = 0; i < ids.size(); ++i)
      if (const auto own = values.find(ids[i]); own != values.end()) part[i].weight = own->second;
  });
  return changed;
}

std::vector<StoredMatrix> learn_rounding(const LayerProblem& problem, const AtenBlock& block,
                                         const std::vector<LearnedMatrix>& matrices, const LearningText& text,
                                         const LearningSchedule& schedule) {
  std::vector<StoredMatrix> best;
  std::vector<LearningMatrix> learning;
  std::map<TensorId, at::Tensor> values;
  for (const LearnedMatrix& matrix : matrices) {
    best.push_back(matrix.start);
    learning.emplace_back(matrix);
    values[matrix.id] = matrix.start.values();
  }
  if (text.learned_on.empty() || text.judged_on.empty() || learning.empty()) return best;
  double least = layer_error(problem, block_with(block, values), text.judged_on);
  std::vector<size_t> costed = text.learned_on;
  costed.resize(std::min(costed.size(), kMostCosted));
  const auto costs = plain_costs(problem, block_with(block, values), costed, schedule.seed);
  const int often = std::max(schedule.steps / kJudgements, 1);
  for (int step = 0; step < schedule.steps; ++step) {
    const double rate = kShareOfRate * (1 - static_cast<double>(step) / schedule.steps) / schedule.steps;
    const std::vector<size_t> windows = windows_of_step(text.learned_on, schedule, step);
    const auto gradients = weight_gradients(problem, seen_block(block, learning), windows);
    double tokens = 0;
    for (const size_t w : windows) tokens += static_cast<double>(problem.wanted[w].size(1));
    for (LearningMatrix& matrix : learning) {
      const auto own = gradients.find(matrix.id());  // an expert may have had no token
      const auto cost = costs.find(matrix.id());
      if (own == gradients.end() || cost == costs.end()) continue;
      matrix.step(matrix.with_plain(own->second, cost->second, tokens), rate);
    }
    if ((step + 1) % often != 0 && step + 1 < schedule.steps) continue;
    for (LearningMatrix& matrix : learning) matrix.recode(problem.threads);
    const double error = layer_error(problem, seen_block(block, learning), text.judged_on);
    if (!(error < least)) continue;
    least = error;
    best = all_stored(learning);
  }
  return best;
}

}  // namespace vernier
