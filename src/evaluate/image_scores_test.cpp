#include "evaluate/image_scores.h"

#include <gtest/gtest.h>

#include <cmath>

#include "support/expect_error.h"

namespace vernier {
namespace {

/// The probability of the first of two classes.
double p(double first, double second) { return 1 / (1 + std::exp(second - first)); }
double kl(double a, double b) { return a * std::log(a / b) + (1 - a) * std::log((1 - a) / (1 - b)); }

class ImageScores : public ::testing::Test {
 protected:
  GroupedExamples examples_{.name = "made up", .count = 4, .classes = 2, .labels = {0, 1, 1, 0}};
  std::vector<int64_t> clusters_{0, 1, 2, 0};  // the last one is the first again
  std::vector<float> before_{2, 0, 0, 1, 1, 0, 2, 0}, after_{1, 0, 0, 1, 0, 1, 1, 0};

  void SetUp() override { examples_.attributes = {{"light", {"dim", "dim", "", "bright"}}}; }
  Answers answers(const char* name, const std::vector<float>& logits) const {
    return answers_of_logits(name, logits, 2, examples_.labels);
  }
};

TEST_F(ImageScores, AreMeansOverImagesWithErrorsOverWhatIsDistinct) {
  const Answers before = answers("f32", before_), after = answers("int3", after_);
  const Scores scores = image_evaluation(examples_, after, &before, clusters_).all;
  const Scores alone = image_evaluation(examples_, before, nullptr, clusters_).all;
  const double changed = kl(p(2, 0), p(1, 0)), flipped = kl(p(1, 0), p(0, 1));
  EXPECT_EQ(scores.tokens, 4);
  EXPECT_NEAR(scores.kl().mean, (2 * changed + flipped) / 4, 1e-9);
  EXPECT_NEAR(scores.at("accuracy_share").mean, 1, 1e-12);
  EXPECT_NEAR(scores.same_top().mean, 0.75, 1e-12);
  EXPECT_NEAR(scores.nll().mean, (-2 * std::log(p(1, 0)) - 2 * std::log(p(1, 0))) / 4, 1e-6);
  EXPECT_NEAR(scores.at("delta_nll_nats").mean, scores.nll().mean - alone.nll().mean, 1e-6);
  EXPECT_EQ(alone.find("kl_nats"), nullptr);
  // Three clusters of 2, 1 and 1 images: the copy is no evidence of its own.
  const std::vector<int64_t> apart{0, 1, 2, 3};
  EXPECT_NE(scores.kl().standard_error, image_evaluation(examples_, after, &before, apart).all.kl().standard_error);
}

TEST_F(ImageScores, OfEveryGroup) {
  const Answers before = answers("f32", before_), after = answers("int3", after_);
  const Evaluation e = image_evaluation(examples_, after, &before, clusters_);
  EXPECT_EQ(e.data.windows, 4);
  ASSERT_EQ(e.groups.size(), 2u);
  EXPECT_EQ(e.groups.at("light dim").tokens, 2);
  EXPECT_EQ(e.groups.at("light bright").tokens, 1);
  EXPECT_NEAR(e.groups.at("light bright").kl().mean, kl(p(2, 0), p(1, 0)), 1e-9);
}

TEST_F(ImageScores, TakeTheLogits) {
  Answers bare = answers("f32", before_);
  bare.logits.clear();
  expect_error(ErrorKind::kInvalidArgument, {"f32 answered 0 logits", "4 images of 2 classes"},
               [&] { image_evaluation(examples_, bare, nullptr, clusters_); });
}

}  // namespace
}  // namespace vernier
