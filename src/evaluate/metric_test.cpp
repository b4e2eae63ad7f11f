#include "vernier/metric.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "evaluate/measure.h"
#include "support/expect_error.h"
#include "support/models.h"
#include "vernier/evaluate.h"

namespace vernier {
namespace {

TEST(Metrics, EveryRowIsWholeAndNamedOnce) {
  ASSERT_FALSE(metrics().empty());
  std::set<std::string_view> keys, names, titles;
  for (const Metric& metric : metrics()) {
    EXPECT_TRUE(keys.insert(metric.key).second) << metric.key;
    EXPECT_TRUE(names.insert(metric.name).second) << metric.name;
    EXPECT_TRUE(titles.insert(metric.title).second) << metric.title;
    EXPECT_FALSE(metric.meaning.empty()) << metric.key;
    EXPECT_NE(metric.of, nullptr) << metric.key;
    EXPECT_EQ(metric.unit == "share", metric.key.ends_with("_share")) << "keys carry their unit";
    EXPECT_EQ(metric.scale, metric.unit == "share" ? 100 : 1) << metric.key;
    EXPECT_GE(metric.decimals, 1) << metric.key << ": tables of groups show one less";
    EXPECT_EQ(find_metric(metric.key), &metric);
  }
  EXPECT_EQ(find_metric("kl"), nullptr);
}

TEST(Metrics, EachMeasureOfATokenIsProducedOnce) {
  const auto alone = token_measures(false), compared = token_measures(true);
  EXPECT_EQ(alone, std::vector<const Measure*>{&kNll});
  EXPECT_EQ(std::set<const Measure*>(compared.begin(), compared.end()).size(), compared.size());
  EXPECT_GT(compared.size(), alone.size());
}

/// What needs a reference or documents is there exactly with them, and says so where it is not.
TEST(Metrics, WhatCannotBeHadIsAbsentAndSaysWhy) {
  const Model model = fixture_model("llama");
  EvaluationData data = made_up_windows(2, 24, 320);
  for (const bool documents : {false, true}) {
    if (documents) data.clusters = {{"en", 60}, {"en", 80}};
    for (const Model* reference : {static_cast<const Model*>(nullptr), &model}) {
      const Scores scores = evaluate({&model}, reference, data)[0].all;
      for (const Metric& metric : metrics()) {
        const bool there =
            (reference != nullptr || !metric.needs_reference()) && (documents || !metric.needs_documents());
        EXPECT_EQ(scores.find(metric.key) != nullptr, there) << metric.key;
        if (there) continue;
        expect_error(ErrorKind::kInvalidArgument, {std::string(metric.key), "it takes"},
                     [&] { scores.at(metric.key); });
      }
      expect_error(ErrorKind::kInvalidArgument, {"there is no metric kl"}, [&] { scores.at("kl"); });
    }
  }
}

TEST(Metrics, PerplexityIsTheExponentialOfTheNll) {
  const Model model = fixture_model("llama");
  const Scores s = evaluate({&model}, nullptr, made_up_windows(3, 24, 320))[0].all;
  EXPECT_EQ(s.perplexity().mean, std::exp(s.nll().mean));
  EXPECT_EQ(s.perplexity().standard_error, std::exp(s.nll().mean) * s.nll().standard_error);
}

}  // namespace
}  // namespace vernier
