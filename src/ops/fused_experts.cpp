// A mixture of experts on the CPU: rows are gathered per expert, so that each is one product.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "ops/fused_ops.h"
#include "ops/kernels.h"

namespace vernier {

namespace {

struct Choice {
  int64_t row;
  float weight;
};

/// Per expert the rows that take it, from router scores [rows, experts]: softmax over all experts, the `used` largest of
/// them (the first of equals), divided by their sum where the model does that.
std::vector<std::vector<Choice>> choose_experts(const ExpertsConfig& config, const Slab& scores) {
  std::vector<std::vector<Choice>> chosen(static_cast<size_t>(config.count));
  std::vector<int64_t> order(static_cast<size_t>(config.count));
  const auto used = static_cast<size_t>(config.used);
  for (int64_t r = 0; r < scores.rows; ++r) {
    const float* s = scores.row(r);
    std::iota(order.begin(), order.end(), 0);
    std::partial_sort(order.begin(), order.begin() + config.used, order.end(),
                      [&](int64_t a, int64_t b) { return s[a] != s[b] ? s[a] > s[b] : a < b; });
    const float largest = s[order[0]];
    float all = 0, taken = 0;
    for (int64_t e = 0; e < config.count; ++e) all += std::exp(s[e] - largest);
    for (size_t i = 0; i < used; ++i) taken += std::exp(s[order[i]] - largest);
    for (size_t i = 0; i < used; ++i)
      chosen[static_cast<size_t>(order[i])].push_back(
          {r, std::exp(s[order[i]] - largest) / (config.normalize ? taken : all)});
  }
  return chosen;
}

}  // namespace

Slab FusedOps::mix_experts(const FusedBlock& block, const Slab& x) {
  const FeedForwardConfig& config = block.config.feed_forward;
  const Slab sum = arena_.slab(x.rows, x.cols);
  for (int64_t r = 0; r < x.rows; ++r) std::fill_n(sum.row(r), x.cols, 0.0f);
  const Arena::Scope scope(arena_);
  const auto chosen = choose_experts(config.experts, linear(block.router, x));
  for (size_t e = 0; e < chosen.size(); ++e) {
    if (chosen[e].empty()) continue;
    const Arena::Scope expert_scope(arena_);
    const auto count = static_cast<int64_t>(chosen[e].size());
    const Slab rows = arena_.slab(count, x.cols);
    for (int64_t i = 0; i < count; ++i)
      std::memcpy(rows.row(i), x.row(chosen[e][static_cast<size_t>(i)].row),
                  static_cast<size_t>(x.cols) * sizeof(float));
    const auto expert = static_cast<int>(e);
    observe({Site::kFfnInput, block.layer, expert}, rows);
    const Slab hidden = activate(config, block.experts[e].in, rows);
    observe({Site::kFfnDownInput, block.layer, expert}, hidden);
    const Slab out = linear(block.experts[e].down, hidden);
    for (int64_t i = 0; i < count; ++i) {
      const Choice& choice = chosen[e][static_cast<size_t>(i)];
      scale_row(out.row(i), out.cols, choice.weight);
      add_row(out.row(i), sum.row(choice.row), out.cols);
    }
  }
  if (config.experts.shared_intermediate > 0) {
    const Slab hidden = activate(config, block.shared.in, x);
    observe({Site::kSharedDownInput, block.layer}, hidden);
    const Slab out = linear(block.shared.down, hidden);
    if (config.experts.shared_switch) {
      const Slab open = linear(block.shared_switch, x);
      for (int64_t r = 0; r < out.rows; ++r) scale_row(out.row(r), out.cols, 1.0f / (1.0f + std::exp(-open.row(r)[0])));
    }
    add(out, sum);
  }
  return sum;
}

}  // namespace vernier
