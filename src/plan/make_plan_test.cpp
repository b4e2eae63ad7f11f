#include "plan/make_plan.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <regex>
#include <set>

#include "support/expect_error.h"
#include "vernier/scheme.h"

namespace vernier {
namespace {

const TargetRules kRules{.target = "engine",
                         .schemes = {"gguf:q2_k", "gguf:q3_k", "gguf:q4_0", "gguf:q4_k", "gguf:q4_1", "gguf:q5_0",
                                     "gguf:q5_k", "gguf:q5_1", "gguf:q6_k", "gguf:q8_0", "f16"},
                         .fixed_scheme = "f32",
                         .one_scheme_per_tensor = true,
                         .alignment_bytes = 32};

/// Of every scheme, from that of q4_k: four times less per bit.
std::map<std::string, double> damages(double q4_k) {
  std::map<std::string, double> kl = {{"gguf:q2_k", 16},   {"gguf:q3_k", 4},    {"gguf:q4_0", 1.3},   {"gguf:q4_k", 1},
                                      {"gguf:q5_k", 0.25}, {"gguf:q6_k", 0.06}, {"gguf:q8_0", 0.004}, {"f16", 1e-7}};
  for (auto& [scheme, value] : kl) value *= q4_k;
  return kl;
}

std::vector<TensorDamage> tensors() {
  std::vector<TensorDamage> all;
  for (int i = 0; i < 12; ++i) {
    TensorDamage t{"L" + std::to_string(i) + ".ffn_down", TensorRole::kFfnDown, i, 256, 512, {}};
    t.kl = damages(0.001 * (i + 1) * (i + 1));
    all.push_back(t);
  }
  return all;
}

/// A file with a header that holds the recipe, as a GGUF's does.
uint64_t file_bytes(const Plan& plan) {
  uint64_t bytes = 1000 + carried_recipe(plan).size();
  for (const PlanEntry& e : plan.entries) bytes += kRules.padded_bytes(e.bytes);
  return bytes;
}

TEST(MakePlan, MeetsTheBudgetOfTheWholeFile) {
  const auto all = tensors();
  const uint64_t int4 = file_bytes(uniform_plan(all, kRules, "gguf:q4_k"));
  for (const double share : {0.75, 1.0, 1.1, 1.5}) {
    PlanRequest request{.rules = kRules};
    request.budget_text = "test";
    request.budget_bytes = static_cast<uint64_t>(share * static_cast<double>(int4)) + 600;
    request.file_bytes = file_bytes;
    const Plan plan = make_plan(all, request);
    EXPECT_LE(file_bytes(plan), request.budget_bytes);
    EXPECT_GE(plan.predicted_kl_nats, plan.lower_bound_kl_nats * (1 - 1e-9));
    EXPECT_EQ(plan.entries.size(), all.size());
    for (const PlanEntry& entry : plan.entries) EXPECT_FALSE(entry.reason.empty());
    const Plan uniform = uniform_plan(all, kRules, "gguf:q4_k");
    if (share >= 1) {
      EXPECT_LE(plan.predicted_kl_nats, uniform.predicted_kl_nats);
    }
    // The most damaged tensor never gets fewer bits than the least damaged one.
    EXPECT_GE(plan.entries.back().bytes, plan.entries.front().bytes);
  }
}

TEST(MakePlan, AnImpossibleBudgetSaysWhatIsPossible) {
  PlanRequest request{.rules = kRules};
  request.budget_text = "1bpw";
  request.budget_bytes = 10000;
  request.file_bytes = file_bytes;
  expect_error(ErrorKind::kInfeasible, {"1bpw", "smallest"}, [&] { make_plan(tensors(), request); });
}

uint64_t smallest_in(const std::string& message) {
  std::smatch match;
  EXPECT_TRUE(std::regex_search(message, match, std::regex("smallest file .* is ([0-9]+) bytes"))) << message;
  return match.empty() ? 0 : std::stoull(match[1]);
}

// The figure in the message is a budget that works, and one byte less is not.
TEST(MakePlan, TheSmallestFileIsReachable) {
  PlanRequest request{.rules = kRules};
  request.budget_text = "tiny";
  request.budget_bytes = 10000;
  request.file_bytes = file_bytes;
  uint64_t smallest = 0;
  try {
    make_plan(tensors(), request);
    FAIL() << "made a plan of " << request.budget_bytes << " bytes";
  } catch (const Error& e) {
    smallest = smallest_in(e.what());
  }
  request.budget_bytes = smallest;
  request.budget_text = std::to_string(smallest);
  EXPECT_EQ(file_bytes(make_plan(tensors(), request)), smallest);
  request.budget_bytes = smallest - 1;
  expect_error(ErrorKind::kInfeasible, {"smallest file", std::to_string(smallest) + " bytes"},
               [&] { make_plan(tensors(), request); });
}

TEST(MakePlan, UniformPlansNameTheirFallbacks) {
  std::vector<TensorDamage> all = tensors();
  EXPECT_EQ(uniform_plan(all, kRules, "gguf:q4_k").label, "uniform gguf:q4_k");
  all[1].cols = 96;
  EXPECT_EQ(uniform_plan(all, kRules, "gguf:q4_k").label,
            fmt::format("uniform gguf:q4_k, 1 of {} as gguf:q5_0", all.size()));
}

TEST(MakePlan, FallbacksAreGroupedAndToldWithTheirReason) {
  std::vector<TensorDamage> all = tensors();
  all[1].cols = all[4].cols = 96;
  all[7].cols = 32;
  const Plan plan = uniform_plan(all, kRules, "gguf:q4_k");
  EXPECT_THAT(fallback_lines(plan),
              ::testing::ElementsAre("1 of 12 tensors as gguf:q5_0: gguf:q4_k does not fit rows of 32",
                                     "2 of 12 tensors as gguf:q5_0: gguf:q4_k does not fit rows of 96"));
  EXPECT_EQ(plan.entries[1].reason, "gguf:q4_k does not fit rows of 96");
  EXPECT_THAT(fallback_lines(plan_from_json(plan_to_json(plan), "plan.json")), ::testing::SizeIs(2));
  EXPECT_THAT(fallback_lines(uniform_plan(tensors(), kRules, "gguf:q4_k")), ::testing::IsEmpty());
}

// A matrix stays as it is stored at no damage, whatever was measured, and its type is a candidate even where the target's
// list lacks it.
TEST(MakePlan, WhatIsStoredIsACandidateAtNoDamage) {
  std::vector<TensorDamage> all = tensors();
  for (TensorDamage& t : all) t.stored_scheme = "bf16";
  all[3].stored_scheme = "gguf:q4_1";
  EXPECT_EQ(predicted_damage(all[0], "bf16"), 0);
  PlanRequest request{.rules = kRules};
  request.budget_text = "test";
  request.file_bytes = file_bytes;
  request.budget_bytes = file_bytes(uniform_plan(all, kRules, "gguf:q5_k"));
  const Plan plan = make_plan(all, request);
  EXPECT_EQ(plan.entries[3].scheme, "gguf:q4_1");
  EXPECT_EQ(plan.entries[3].damage, 0);
  request.budget_bytes = 1 << 30;
  const Plan roomy = make_plan(all, request);
  EXPECT_EQ(roomy.entries.size(), all.size());
  for (const PlanEntry& entry : roomy.entries) EXPECT_EQ(entry.damage, 0) << entry.tensor;
}

TEST(MakePlan, ABudgetIsKnownToBeOutOfReachFromShapesAlone) {
  std::vector<TensorDamage> shapes = tensors();
  for (TensorDamage& t : shapes) t.kl.clear();
  PlanRequest request{.rules = kRules};
  request.budget_text = "tiny";
  request.file_bytes = file_bytes;
  request.budget_bytes = 10000;
  uint64_t smallest = 0;
  try {
    require_reachable(shapes, request);
    ADD_FAILURE() << "10,000 bytes for 12 matrices of 131,072 weights";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kInfeasible);
    smallest = smallest_in(e.what());
  }
  request.budget_bytes = smallest;
  request.budget_text = std::to_string(smallest);
  require_reachable(shapes, request);
}

/// The matrices of two layers as a mixture of four experts has them, each expert's measured on its own.
std::vector<TensorDamage> mixture_of_experts() {
  std::vector<TensorDamage> all;
  const TensorDamage like = tensors()[0];
  for (int layer = 0; layer < 2; ++layer) {
    TensorDamage q = like;
    q.tensor = fmt::format("L{}.attn_q", layer);
    q.role = TensorRole::kAttnQ;
    q.layer = layer;
    q.rows = q.cols = 256;
    all.push_back(q);
    for (int expert = 0; expert < 4; ++expert)
      for (const TensorRole role : {TensorRole::kFfnGate, TensorRole::kFfnUp, TensorRole::kFfnDown}) {
        TensorDamage t = like;
        t.tensor = fmt::format("L{}.expert{}.{}", layer, expert, role_name(role));
        t.role = role;
        t.layer = layer;
        t.expert = expert;
        t.stored_in = fmt::format("blk.{}.{}_exps", layer, role_name(role));
        if (role != TensorRole::kFfnDown) std::swap(t.rows, t.cols);
        t.kl = damages(1e-4 * std::pow(10, expert));  // so that alone, they would get different schemes
        all.push_back(t);
      }
  }
  return all;
}

TEST(MakePlan, ExpertsThatTheTargetStacksGetOneScheme) {
  const std::vector<TensorDamage> all = mixture_of_experts();
  const auto schemes_of_stacks = [&](const TargetRules& rules) {
    PlanRequest request{.rules = rules};
    request.budget_text = "test";
    request.file_bytes = file_bytes;
    request.budget_bytes = file_bytes(uniform_plan(all, rules, "gguf:q4_k")) * 11 / 10;
    const Plan plan = make_plan(all, request);
    EXPECT_LE(file_bytes(plan), request.budget_bytes);
    std::map<std::pair<int64_t, std::string>, std::set<std::string>> schemes;
    for (const PlanEntry& entry : plan.entries) {
      if (entry.tensor.find("expert") == std::string::npos) continue;
      schemes[{entry.layer, entry.role}].insert(entry.scheme);
      if (rules.one_scheme_per_tensor) {
        EXPECT_THAT(entry.reason, ::testing::HasSubstr("all 4 that must be alike"));
      }
    }
    return schemes;
  };
  const auto stacked = schemes_of_stacks(kRules);
  EXPECT_THAT(stacked, ::testing::SizeIs(6));
  for (const auto& [stack, schemes] : stacked) EXPECT_THAT(schemes, ::testing::SizeIs(1)) << stack.second;
  TargetRules separate = kRules;
  separate.one_scheme_per_tensor = false;
  size_t most = 0;
  for (const auto& [stack, schemes] : schemes_of_stacks(separate)) most = std::max(most, schemes.size());
  EXPECT_GT(most, 1u) << "what is tied would differ otherwise";
}

TEST(MakePlan, WhatTheTargetFixesHasItsSchemeInEveryPlan) {
  TargetRules rules = kRules;
  rules.fixed_roles = {TensorRole::kAttnQ};
  std::vector<TensorDamage> all = mixture_of_experts();
  for (TensorDamage& t : all) t.stored_scheme = "bf16";
  PlanRequest request{.rules = rules};
  request.file_bytes = file_bytes;
  request.budget_bytes = file_bytes(uniform_plan(all, rules, "gguf:q5_k"));
  for (const Plan& plan : {make_plan(all, request), uniform_plan(all, rules, "gguf:q4_k")})
    for (const PlanEntry& entry : plan.entries)
      EXPECT_EQ(entry.scheme == "f32", entry.role == "attn_q") << entry.tensor;
}

TEST(MakePlan, DamageScalesWithErrorPower) {
  const TensorDamage t = tensors()[2];
  EXPECT_DOUBLE_EQ(*predicted_damage(t, "gguf:q4_k"), 0.009);
  EXPECT_DOUBLE_EQ(*predicted_damage(t, "gguf:q5_k"), 0.009 * 0.25);
}

}  // namespace
}  // namespace vernier
