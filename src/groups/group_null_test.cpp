// What the verdicts do where the truth is known: random groups, a planted effect, a planted null.

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "vernier/groups.h"

namespace vernier {
namespace {

constexpr int kDraws = 200;

/// Losses with a heavy tail, and what quantizing adds to them.
struct World {
  std::mt19937_64 random;
  std::normal_distribution<double> normal{};
  Answers reference{.model = "f32"}, model{.model = "int4"};

  explicit World(uint64_t seed) : random(seed) {}
  void add_example(double harm, double noise) {
    const double loss = std::exp(normal(random));
    reference.loss_nats.push_back(loss);
    model.loss_nats.push_back(loss + harm + noise * std::exp(normal(random)));
  }
};

GroupedExamples in_groups(std::vector<std::string> values) {
  GroupedExamples examples{.name = "planted", .count = static_cast<int64_t>(values.size())};
  examples.attributes = {{"g", std::move(values)}};
  return examples;
}

struct Exceeded {
  int groups = 0, spreads = 0, total = 0;
  void count(const GroupAnalysis& analysis) {
    for (const GroupResult& group : analysis.attributes[0].groups) {
      ++total;
      groups += group.figures.at("loss_nats").null_p <= 0.05 ? 1 : 0;
    }
    const auto gap = analysis.attributes[0].gaps.find("loss_nats");  // none where a group came out too small
    spreads += gap != analysis.attributes[0].gaps.end() && gap->second.null_p <= 0.05 ? 1 : 0;
  }
  double share() const { return static_cast<double>(groups) / total; }
  /// Of kDraws spreads 5 % exceed; three standard deviations.
  bool spreads_are_plausible() const {
    return std::abs(spreads - 0.05 * kDraws) <= 3 * std::sqrt(kDraws * 0.05 * 0.95);
  }
};

// Sizes differ, as those of true groups do.
TEST(GroupNull, RandomGroupsExceedItInFivePercent) {
  Exceeded exceeded;
  for (uint64_t draw = 0; draw < kDraws; ++draw) {
    World world(draw + 1);
    std::vector<std::string> values;
    for (int i = 0; i < 200; ++i) {
      values.push_back(std::string(1, "aaaaabbbcd"[world.random() % 10]));
      world.add_example(0.3, 0.5);
    }
    exceeded.count(analyse_groups(in_groups(values), world.reference, world.model,
                                  {.bootstrap_draws = 1, .null_draws = 199, .seed = draw}));
  }
  EXPECT_NEAR(exceeded.share(), 0.05, 0.02);
  EXPECT_TRUE(exceeded.spreads_are_plausible()) << exceeded.spreads;
}

// Documents in three languages: what they have in common cancels, since languages are exchanged within a document.
TEST(GroupNull, RandomGroupsOfParallelDocumentsToo) {
  Exceeded exceeded;
  for (uint64_t draw = 0; draw < kDraws; ++draw) {
    World world(draw + 1);
    std::vector<std::string> values;
    std::vector<int64_t> clusters;
    for (int64_t document = 0; document < 40; ++document) {
      const double harm = 3 * world.normal(world.random);
      for (const char* language : {"de", "en", "fr"}) {
        values.emplace_back(language);
        clusters.push_back(document);
        world.add_example(harm, 0.5);
      }
    }
    GroupedExamples examples = in_groups(values);
    examples.clusters = clusters;
    exceeded.count(analyse_groups(examples, world.reference, world.model,
                                  {.bootstrap_draws = 1, .null_draws = 199, .seed = draw}));
  }
  EXPECT_NEAR(exceeded.share(), 0.05, 0.02);
  EXPECT_TRUE(exceeded.spreads_are_plausible()) << exceeded.spreads;
}

// Patients with several images each: the images of one are hurt alike, so that they are one piece of evidence. Of two groups
// each is what the other is not, so that a draw is one observation: more of them.
TEST(GroupNull, RandomGroupsOfWholeClustersToo) {
  Exceeded exceeded;
  for (uint64_t draw = 0; draw < 4 * kDraws; ++draw) {
    World world(draw + 1);
    std::vector<std::string> values;
    std::vector<int64_t> clusters;
    for (int64_t patient = 0; patient < 30; ++patient) {
      const double harm = world.normal(world.random);
      const std::string group(1, "aab"[world.random() % 3]);
      for (int image = 0; image < 2; ++image) {
        values.push_back(group);
        clusters.push_back(patient);
        world.add_example(harm, 0.1);
      }
    }
    GroupedExamples examples = in_groups(values);
    examples.clusters = clusters;
    exceeded.count(analyse_groups(examples, world.reference, world.model,
                                  {.bootstrap_draws = 1, .null_draws = 199, .seed = draw}));
  }
  EXPECT_NEAR(exceeded.share(), 0.05, 0.02);
}

TEST(GroupNull, APlantedEffectIsFoundAndOnlyIt) {
  World world(7);
  std::vector<std::string> values;
  for (int i = 0; i < 600; ++i) {
    const bool rare = i % 15 == 0;
    values.emplace_back(rare ? "rare" : i % 2 == 0 ? "even" : "odd");
    world.add_example(rare ? 0.8 : 0.3, 0.2);
  }
  GroupOptions options{.bootstrap_draws = 1000, .null_draws = 999};
  options.tolerance["loss_nats"] = 0.1;
  const GroupAnalysis analysis = analyse_groups(in_groups(values), world.reference, world.model, options);
  const AttributeResult& attribute = analysis.attributes[0];
  for (const GroupResult& group : attribute.groups)
    EXPECT_EQ(group.figures.at("loss_nats").skew.verdict, group.name == "rare" ? Verdict::kExceeds : Verdict::kWithin)
        << group.name;
  EXPECT_EQ(attribute.gaps.at("loss_nats").spread.verdict, Verdict::kExceeds);
  EXPECT_EQ(attribute.gaps.at("loss_nats").most_damaged, "rare");
  EXPECT_LE(attribute.gaps.at("loss_nats").null_p, 0.001);
  EXPECT_EQ(analysis.all.figures.at("loss_nats").change.verdict, Verdict::kExceeds);
}

// Twenty examples of each of ten groups: what is seen of the groups spreads by noise alone, more than what is true.
TEST(GroupNull, TheIntervalOfASpreadHoldsTheTruth) {
  for (const double planted : {0.0, 0.4}) {
    int held = 0, above_zero = 0;
    constexpr int kWorlds = 100;
    for (uint64_t seed = 1; seed <= kWorlds; ++seed) {
      World world(seed);
      std::vector<std::string> values;
      for (int i = 0; i < 200; ++i) {
        values.push_back(std::string(1, static_cast<char>('a' + i % 10)));
        world.add_example(i % 10 == 0 ? planted : 0, 0.0);
        world.model.loss_nats.back() += 0.3 * world.normal(world.random);
      }
      const GroupAnalysis analysis = analyse_groups(in_groups(values), world.reference, world.model,
                                                    {.bootstrap_draws = 400, .null_draws = 19, .seed = seed});
      const ConfidenceInterval interval = analysis.attributes[0].gaps.at("loss_nats").spread.interval;
      held += interval.low <= planted && planted <= interval.high ? 1 : 0;
      above_zero += interval.low > 0 ? 1 : 0;
    }
    EXPECT_GE(held, kWorlds * 9 / 10) << planted << ": two and a half standard deviations below 95";
    EXPECT_GE(above_zero, planted > 0 ? kWorlds * 9 / 10 : 0) << "and it is narrow enough to tell it from none";
  }
}

// Five examples of which none flips say little about how often they would.
TEST(GroupNull, AGroupThatNeverMovesIsNotKnownToStandStill) {
  GroupedExamples examples{.name = "flips", .count = 205, .classes = 2};
  Answers reference{.model = "f32"}, model{.model = "int4"};
  GroupAttribute size{"size", {}};
  for (int i = 0; i < 205; ++i) {
    const bool flips = i >= 5 && i % 50 == 0;
    size.values.emplace_back(i < 5 ? "few" : "many");
    examples.labels.push_back(0);
    reference.predicted.push_back(0), model.predicted.push_back(flips ? 1 : 0);
    reference.correct.push_back(1), model.correct.push_back(flips ? 0 : 1);
  }
  examples.attributes = {size};
  const AttributeResult of = analyse_groups(examples, reference, model, {}).attributes[0];
  EXPECT_GT(of.gaps.at("flips").spread.interval.high, 1 - std::pow(0.025, 1 / 5.0)) << "what five do not show";
}

TEST(GroupNull, APlantedNullIsNotFound) {
  int within = 0, exceeds = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    World world(seed);
    std::vector<std::string> values;
    for (int i = 0; i < 300; ++i) {
      values.emplace_back(i % 10 == 0 ? "rare" : i % 2 == 0 ? "even" : "odd");
      world.add_example(0.5, 0.2);  // everyone is hurt, and nobody more than the others
    }
    GroupOptions options{.bootstrap_draws = 400, .null_draws = 399, .seed = seed};
    options.tolerance["loss_nats"] = 0.2;
    const GroupAnalysis analysis = analyse_groups(in_groups(values), world.reference, world.model, options);
    for (const GroupResult& group : analysis.attributes[0].groups) {
      const Verdict verdict = group.figures.at("loss_nats").skew.verdict;
      within += verdict == Verdict::kWithin ? 1 : 0;
      exceeds += verdict == Verdict::kExceeds ? 1 : 0;
    }
    EXPECT_NE(analysis.attributes[0].gaps.at("loss_nats").spread.verdict, Verdict::kExceeds) << seed;
  }
  EXPECT_EQ(exceeds, 0);
  EXPECT_GT(within, 40) << "of 60: the larger groups are known well enough";
}

}  // namespace
}  // namespace vernier
