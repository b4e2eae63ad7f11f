#pragma once

// A small plan made by the solver itself: two layers, a stack of experts, a norm that is not planned.

#include "vernier/plan.h"

namespace vernier {

inline Plan sample_plan() {
  struct Shape {
    const char* tensor;
    const char* role;
    int64_t layer, rows, cols;
    double sensitivity;
  };
  static constexpr Shape kShapes[] = {{"token_embd.weight", "embed", -1, 512, 256, 0.3},
                                      {"blk.0.attn_q.weight", "attn_q", 0, 256, 256, 0.02},
                                      {"blk.0.attn_v.weight", "attn_v", 0, 128, 256, 0.6},
                                      {"blk.0.ffn_down_exps.weight", "ffn_down", 0, 1024, 512, 1.1},
                                      {"blk.1.attn_q.weight", "attn_q", 1, 256, 256, 0.004},
                                      {"blk.1.attn_v.weight", "attn_v", 1, 128, 256, 0.1},
                                      {"blk.1.ffn_down_exps.weight", "ffn_down", 1, 1024, 512, 0.3}};
  KnapsackProblem problem;
  for (const Shape& s : kShapes) {
    const auto blocks = static_cast<uint64_t>(s.rows * s.cols / 256);
    problem.items.push_back({s.tensor,
                             {{"gguf:q4_k", blocks * 144, s.sensitivity * 0.04},
                              {"gguf:q5_k", blocks * 176, s.sensitivity * 0.01},
                              {"gguf:q6_k", blocks * 210, s.sensitivity * 0.0025},
                              {"gguf:q8_0", blocks * 272, s.sensitivity * 0.0001}}});
  }
  problem.budget_bytes = 1'000'000;
  const KnapsackSolution solution = solve_knapsack(problem);
  const std::vector<std::string> reasons = explain_solution(problem, solution);

  Plan plan{.target = "llama.cpp", .label = "planned", .budget_text = "+10%", .budget_bytes = 1'001'024};
  plan.price_per_byte = solution.price_per_byte;
  plan.predicted_kl_nats = solution.damage;
  plan.lower_bound_kl_nats = solution.lower_bound;
  for (size_t i = 0; i < problem.items.size(); ++i) {
    const Candidate& chosen = problem.items[i].candidates[solution.choice[i]];
    const Shape& s = kShapes[i];
    plan.entries.push_back(
        {s.tensor, s.role, s.layer, s.rows, s.cols, chosen.scheme, chosen.bytes, chosen.damage, reasons[i]});
  }
  plan.entries.push_back({"output_norm.weight", "norm", -1, 1, 256, "f32", 1024, 0, "norms stay in f32"});
  plan.tensor_bytes = solution.bytes + 1024;
  plan.provenance = {{"diagnosis", "0123456789abcdef0123456789abcdef"}, {"seed", 1}};
  return plan;
}

}  // namespace vernier
