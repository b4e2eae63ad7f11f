#include "evaluate/top_5_overlap.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "support/models.h"
#include "vernier/evaluate.h"

namespace vernier {
namespace {

/// By the definition, from whole rows of logits sorted in float64.
double exact_overlap(const at::Tensor& reference, const at::Tensor& other) {
  const auto top = [](const at::Tensor& row) {
    const at::Tensor ids = std::get<1>(row.topk(5));
    return std::set<int64_t>(ids.data_ptr<int64_t>(), ids.data_ptr<int64_t>() + 5);
  };
  const std::set<int64_t> a = top(reference), b = top(other);
  return static_cast<double>(std::count_if(a.begin(), a.end(), [&](int64_t id) { return b.contains(id); })) / 5;
}

TEST(Top5Overlap, EqualsTheDefinitionForEveryModelBesideAReference) {
  const Model model = to_float32(fixture_model("llama"));
  std::vector<Model> others;
  for (const double scale : {0.02, 0.3}) {
    at::manual_seed(5);
    others.push_back(model);
    for (const TensorId& id : model.matrices()) {
      const at::Tensor w = model.weight(id);
      others.back().set_weight(id, w + scale * w.std() * at::randn_like(w));
    }
  }
  const EvaluationData data = made_up_windows(3, 64, 320);
  const auto found = evaluate({&others[0], &others[1]}, &model, data);
  ASSERT_EQ(found.size(), 2u);
  for (size_t m = 0; m < 2; ++m) {
    double sum = 0, tokens = 0;
    for (const TokenWindow& window : data.windows) {
      const at::Tensor p = exact_log_p(model, window), q = exact_log_p(others[m], window);
      for (int64_t r = 0; r < window.scored(); ++r, ++tokens) sum += exact_overlap(p[r], q[r]);
    }
    ASSERT_GT(tokens, 0);
    // One token in float32 may rank two nearly equal ones the other way round.
    EXPECT_NEAR(found[m].all.at("top_5_overlap_share").mean, sum / tokens, 0.21 / tokens) << m;
    EXPECT_LT(found[m].all.at("top_5_overlap_share").mean, 1);
    EXPECT_GT(found[m].all.at("top_5_overlap_share").standard_error, 0);
  }
  EXPECT_GT(found[0].all.at("top_5_overlap_share").mean, found[1].all.at("top_5_overlap_share").mean);
}

TEST(Top5Overlap, AModelAgainstItselfIsOne) {
  const Model model = fixture_model("qwen3");
  EXPECT_EQ(evaluate({&model}, &model, made_up_windows(2, 40, 320))[0].all.at("top_5_overlap_share").mean, 1);
}

TEST(Top5Overlap, CountsWhatBothHave) {
  const std::vector<float> reference{9, 8, 7, 6, 5, 0, 0, 0}, other{9, 0, 7, 0, 5, 4, 3, 0};
  std::vector<int32_t> kept(static_cast<size_t>(kTop5Overlap.kept));
  kTop5Overlap.keep(reference.data(), 8, kept.data());
  ScoredToken token;
  token.vocabulary = 8;
  token.logits = other.data();
  EXPECT_EQ(kTop5Overlap.of_token(token, kept.data()), 0.6);
}

}  // namespace
}  // namespace vernier
