#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "screen/rank_agreement.h"
#include "support/expect_error.h"
#include "vernier/screen.h"

namespace vernier {
namespace {

/// Two clouds: the first layers got a coarse scheme, the others a fine one. Inside each, the estimate is in the right order
/// or in the opposite one.
std::pair<Screen, Diagnosis> two_clouds(bool right) {
  constexpr int kLayers = 12;
  Screen s;
  Diagnosis d;
  s.model_hash = d.model_hash = "model";
  s.schemes = {"gguf:q4_k"};
  d.scheme = "gguf:q4_k";
  s.domains.resize(1);
  s.domains[0].name = "wiki";
  s.estimators = {"diagonal"};
  for (int layer = 0; layer < kLayers; ++layer) {
    const TensorId id{TensorRole::kAttnQ, layer};
    const bool coarse = layer < kLayers / 2;
    const double exact = (coarse ? 1.0 : 0.001) * (1 + layer % 6);
    const double estimate = (coarse ? 1.0 : 0.001) * (right ? 1 + layer % 6 : 6 - layer % 6);
    s.components.push_back(component_of(id));
    s.values.push_back({estimate, 0});
    const std::string scheme = coarse ? "gguf:q4_0" : "gguf:q8_0";
    s.matrices.push_back({id, 4, 4, {{scheme, false, 1, 1}}});
    d.components.push_back({component_of(id), 16, {exact, 0}, {}, {}});
    WeightFacts facts;
    facts.tensor = id;
    facts.scheme = scheme;
    d.weight_facts.push_back(facts);
  }
  return {s, d};
}

TEST(Agreement, IsAmongMatricesQuantizedAlike) {
  for (const bool right : {true, false}) {
    const auto [s, d] = two_clouds(right);
    const auto rows = compare_estimators(s, d);
    ASSERT_FALSE(rows.empty());
    EXPECT_EQ(rows[0].components, "matrices");
    EXPECT_EQ(rows[0].count, 12);
    EXPECT_NEAR(rows[0].spearman.value, right ? 1 : -1, 1e-12) << "two clouds alone make no correlation";
    EXPECT_NEAR(rows[0].kendall.value, right ? 1 : -1, 1e-12);
    EXPECT_NEAR(rows[0].top_overlap.value, right ? 1 : 0, 1e-12);
    EXPECT_NEAR(rows[0].ratio_of_totals, 1, 1e-12);
    EXPECT_EQ(rows[0].top, 4);
  }
}

TEST(Agreement, LeavesOutWhatWasMeasuredInAnotherScheme) {
  auto [s, d] = two_clouds(true);
  d.weight_facts[0].scheme = "gguf:q2_k";
  EXPECT_EQ(compare_estimators(s, d)[0].count, 11);
}

TEST(Agreement, IntervalsHoldTheValue) {
  auto [s, d] = two_clouds(true);
  std::swap(s.values[1], s.values[4]);
  const auto rows = compare_estimators(s, d);
  EXPECT_LT(rows[0].spearman.low, rows[0].spearman.value);
  EXPECT_GE(rows[0].spearman.high, rows[0].spearman.value);
  EXPECT_EQ(agreements_to_json(rows).dump(), agreements_to_json(compare_estimators(s, d)).dump()) << "from fixed seeds";
}

TEST(Agreement, RefusesStrangers) {
  auto [s, d] = two_clouds(true);
  expect_error(ErrorKind::kInvalidArgument, {"domain"}, [&, &s = s, &d = d] { compare_estimators(s, d, 3); });
  d.scheme = "gguf:q2_k";
  expect_error(ErrorKind::kInvalidArgument, {"gguf:q2_k"}, [&, &s = s, &d = d] { compare_estimators(s, d); });
  d.model_hash = "other";
  expect_error(ErrorKind::kInvalidArgument, {"one model"}, [&, &s = s, &d = d] { compare_estimators(s, d); });
}

TEST(RankAgreement, KnownOrders) {
  EXPECT_NEAR(kendall(std::vector<double>{1, 2, 3, 4}, std::vector<double>{1, 2, 4, 3}), 4.0 / 6, 1e-12);
  EXPECT_EQ(kendall(std::vector<double>{1, 1, 1}, std::vector<double>{1, 2, 3}), 0);
  // Ties on one side: 5 of 6 pairs count there (tau-b).
  EXPECT_NEAR(kendall(std::vector<double>{1, 1, 2, 3}, std::vector<double>{1, 2, 3, 4}), 5 / std::sqrt(30.0), 1e-12);
  EXPECT_EQ(top_overlap({{1, 2, 3, 4, 5, 6}, {6, 5, 4, 3, 2, 1}}, 2), 0);
  EXPECT_EQ(top_overlap({{1, 2, 3, 4, 5, 6}, {1, 5, 4, 3, 2, 6}}, 2), 0.5);
}

}  // namespace
}  // namespace vernier
