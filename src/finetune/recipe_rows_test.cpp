// What recipes are made of: sampling, weighting, losses, schedule, optimizer.

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/optim/adamw.h>

#include <cmath>
#include <map>
#include <set>

#include "finetune/adamw.h"
#include "finetune/losses.h"
#include "finetune/sampling.h"
#include "finetune/schedule.h"
#include "finetune/weighting.h"
#include "support/expect_error.h"

namespace vernier {
namespace {

std::vector<int32_t> uneven_groups() {  // 900 of group 0, 90 of 1, 10 of 2, none of 3
  std::vector<int32_t> group(900, 0);
  group.resize(990, 1);
  group.resize(1000, 2);
  return group;
}

std::vector<double> alike(size_t groups) { return std::vector<double>(groups, 1.0); }

std::vector<double> drawn_shares(const std::string& sampling, int64_t draws,
                                 const std::vector<double>& times = alike(4)) {
  const std::vector<int32_t> group = uneven_groups();
  Sampler sampler(find_sampling(sampling), group, times, 5);
  std::vector<double> shares(4, 0.0);
  for (const int64_t i : sampler.draw(0, draws)) shares[static_cast<size_t>(group[static_cast<size_t>(i)])] += 1;
  for (double& share : shares) share /= static_cast<double>(draws);
  return shares;
}

TEST(Sampling, GroupsComeAsOftenAsTheRowSays) {
  constexpr int64_t kDraws = 30000;
  const double roots = std::sqrt(900.0) + std::sqrt(90.0) + std::sqrt(10.0);
  const std::map<std::string, std::vector<double>> expected = {
      {"uniform", {0.9, 0.09, 0.01, 0}},
      {"balanced", {1 / 3.0, 1 / 3.0, 1 / 3.0, 0}},
      {"square-root", {std::sqrt(900.0) / roots, std::sqrt(90.0) / roots, std::sqrt(10.0) / roots, 0}}};
  for (const auto& [name, shares] : expected) {
    const std::vector<double> got = drawn_shares(name, kDraws);
    for (size_t g = 0; g < shares.size(); ++g)  // five standard deviations of a binomial share
      EXPECT_NEAR(got[g], shares[g], 5 * std::sqrt(shares[g] * (1 - shares[g]) / kDraws)) << name << " " << g;
  }
}

TEST(Sampling, OversampledGroupsComeSoManyTimesAsOften) {
  constexpr int64_t kDraws = 30000;
  const std::vector<double> times = oversampling({"a", "b", "c", "none"}, {{"b", 5}, {"c", 20}, {"none", 3}});
  EXPECT_EQ(times, (std::vector<double>{1, 5, 20, 3}));
  const std::map<std::string, std::vector<double>> expected = {
      // 900, 90 and 10 examples
      {"balanced", {1 / 26.0, 5 / 26.0, 20 / 26.0, 0}},
      {"uniform", {900 / 1550.0, 450 / 1550.0, 200 / 1550.0, 0}}};
  for (const auto& [name, shares] : expected) {
    const std::vector<double> got = drawn_shares(name, kDraws, times);
    for (size_t g = 0; g < shares.size(); ++g)  // five standard deviations of a binomial share
      EXPECT_NEAR(got[g], shares[g], 5 * std::sqrt(shares[g] * (1 - shares[g]) / kDraws)) << name << " " << g;
  }
  // Where all are drawn as often as another, nothing changes: epochs are permutations still.
  EXPECT_EQ(drawn_shares("uniform", 1000, {2, 2, 2, 2}), drawn_shares("uniform", 1000));
  expect_error(ErrorKind::kInvalidArgument, {"--oversample d", "a, b"}, [] { oversampling({"a", "b"}, {{"d", 2}}); });
  for (const double often : {0.0, -1.0, std::nan(""), HUGE_VAL})
    expect_error(ErrorKind::kInvalidArgument, {"--oversample a", "more than 0"}, [&] {
      oversampling({"a"}, {{"a", often}});
    });
}

TEST(Sampling, GroupsThatAreWorseOffComeMoreOften) {
  constexpr int64_t kDraws = 30000;
  const std::vector<int32_t> group = uneven_groups();
  const auto shares_after = [&](const char* sampling, const std::vector<std::vector<double>>& losses) {
    Sampler sampler(find_sampling(sampling), group, alike(4), 5);
    sampler.follow(losses);
    std::vector<double> shares(4, 0.0);
    for (const int64_t i : sampler.draw(0, kDraws)) shares[static_cast<size_t>(group[static_cast<size_t>(i)])] += 1;
    for (double& share : shares) share /= kDraws;
    return shares;
  };
  // Of a mean of 1 by 1.2, 1 and 0.8, twice; the group without examples was not measured.
  const std::vector<double> once{2.4, 2.0, 1.6, NAN};
  const double factors[] = {std::exp(0.4), 1.0, std::exp(-0.4)}, sum = factors[0] + factors[1] + factors[2];
  const std::vector<double> got = shares_after("worst-first", {once, once});
  for (size_t g = 0; g < 3; ++g) EXPECT_NEAR(got[g], factors[g] / sum, 0.015) << g;  // five standard deviations
  const std::vector<double> bounded = shares_after("worst-first", std::vector<std::vector<double>>(50, once));
  EXPECT_NEAR(bounded[0] / bounded[1], 3, 0.2);
  EXPECT_NEAR(bounded[1] / bounded[2], 3, 0.3);
  // A group that recovers is not drawn on for long.
  std::vector<std::vector<double>> turned(50, once);
  turned.insert(turned.end(), 14, {1.6, 2.0, 2.4, NAN});
  const std::vector<double> after = shares_after("worst-first", turned);
  EXPECT_NEAR(after[2] / after[0], 9, 0.7);
  EXPECT_EQ(shares_after("balanced", {once, once}), shares_after("balanced", {}));
  EXPECT_EQ(shares_after("worst-first", {}), shares_after("balanced", {}));
}

TEST(Sampling, EveryEpochIsAnotherPermutation) {
  Sampler sampler(find_sampling("uniform"), uneven_groups(), alike(4), 5);
  const std::vector<int64_t> first = sampler.draw(0, 1000), second = sampler.draw(1000, 1000);
  EXPECT_EQ(std::set<int64_t>(first.begin(), first.end()).size(), 1000U);
  EXPECT_EQ(std::set<int64_t>(second.begin(), second.end()).size(), 1000U);
  EXPECT_NE(first, second);
}

TEST(Sampling, ADrawDependsOnItsNumberAlone) {
  for (const SamplingRow& row : samplings()) {
    Sampler whole(row, uneven_groups(), alike(4), 5), later(row, uneven_groups(), alike(4), 5);
    const std::vector<int64_t> all = whole.draw(0, 3000);
    EXPECT_EQ(later.draw(1500, 100), std::vector<int64_t>(all.begin() + 1500, all.begin() + 1600)) << row.name;
  }
  expect_error(ErrorKind::kInvalidArgument, {"balanced"}, [] { find_sampling("even"); });
}

TEST(Weighting, GroupDroByHand) {
  const auto dro = find_weighting("group-dro").make({.group_examples = {5, 5, 5}, .dro_rate = 0.5});
  const at::Tensor losses = at::tensor({1.0, 3.0, 2.0}, at::kDouble);
  // Groups 0, 0 and 2: their means are 2 and 2; group 1 is not there.
  const double e = std::exp(0.5 * 2);
  const std::vector<double> q = {e / (2 * e + 1), 1 / (2 * e + 1), e / (2 * e + 1)};
  EXPECT_TRUE(dro->reads_losses());
  EXPECT_NEAR(dro->combine(losses, dro->weights_of({0, 0, 2}, {})).item<double>(), q[0] * 2 + q[2] * 2, 1e-6);
  for (size_t g = 0; g < 3; ++g) EXPECT_NEAR(dro->state()[g], q[g], 1e-12);
  // A second batch goes on from there.
  const double grown = q[1] * std::exp(0.5 * 4), total = q[0] + grown + q[2];
  EXPECT_NEAR(dro->combine(at::tensor({4.0}, at::kDouble), dro->weights_of({1}, {})).item<double>(), 4 * grown / total,
              1e-6);
  const auto other = find_weighting("group-dro").make({.group_examples = {5, 5, 5}, .dro_rate = 0.5});
  other->restore(dro->state());
  EXPECT_EQ(other->state(), dro->state());
}

TEST(Weighting, InverseFrequenciesAndCvarByHand) {
  const at::Tensor losses = at::tensor({1.0, 2.0, 4.0}, at::kDouble);
  const WeightingFacts facts{.group_examples = {6, 2, 0}, .class_examples = {1, 3}, .cvar_share = 0.5};
  const auto combined = [&](const char* name) {
    const auto weighting = find_weighting(name).make(facts);
    EXPECT_FALSE(weighting->reads_losses());
    return weighting->combine(losses, weighting->weights_of({0, 1, 1}, {0, 1, 0})).item<double>();
  };
  EXPECT_NEAR(combined("none"), 7.0 / 3, 1e-6);
  EXPECT_NEAR(combined("group"), (8.0 / 12 * 1 + 8.0 / 4 * 2 + 8.0 / 4 * 4) / 3, 1e-6);
  EXPECT_NEAR(combined("class"), (4.0 / 2 * 1 + 4.0 / 6 * 2 + 4.0 / 2 * 4) / 3, 1e-6);
  EXPECT_NEAR(combined("cvar"), (4.0 + 2.0) / 2, 1e-6);
  expect_error(ErrorKind::kInvalidArgument, {"labelled images"},
               [] { find_weighting("class").make({.group_examples = {1}}); });
}

TEST(Losses, AreThoseOfTheirDefinitions) {
  at::manual_seed(2);
  const Answered a{at::randn({2, 3, 5}, at::kDouble), at::tensor({0, 4, -1, 2, -1, -1}, at::kLong).reshape({2, 3}),
                   at::randn({2, 3, 5}, at::kDouble)};
  for (int64_t e = 0; e < 2; ++e) {
    double nll = 0, kl = 0;
    const int64_t scored = e == 0 ? 2 : 1;
    for (int64_t r = 0; r < scored; ++r) {
      const at::Tensor q = a.logits[e][r].softmax(-1), p = a.teacher[e][r].softmax(-1);
      nll -= std::log(q[a.labels[e][r].item<int64_t>()].item<double>());
      for (int64_t c = 0; c < 5; ++c) kl += p[c].item<double>() * std::log(p[c].item<double>() / q[c].item<double>());
    }
    const auto got = [&](const char* name) { return find_loss(name).of_examples(a)[e].item<double>(); };
    EXPECT_NEAR(got("cross-entropy"), nll / static_cast<double>(scored), 1e-12);
    EXPECT_NEAR(got("distillation"), kl / static_cast<double>(scored), 1e-12);
    EXPECT_NEAR(got("both"), (nll + kl) / (2 * static_cast<double>(scored)), 1e-12);
  }
}

TEST(Losses, DistillationThatIsWorkedOutIsThatOfAutograd) {
  at::manual_seed(3);
  const at::Tensor labels = at::tensor({0, 4, -1, 2, -1, -1}, at::kLong).reshape({2, 3});
  for (const at::ScalarType type : {at::kDouble, at::kFloat, at::kBFloat16}) {
    Answered a{at::randn({2, 3, 5000}).to(type).set_requires_grad(true), labels, at::randn({2, 3, 5000}).to(type)};
    const at::Tensor plain = rows_kl(a);
    const auto gradient = [&](const at::Tensor& kl) {
      return torch::autograd::grad({kl.square().sum()}, {a.logits}).front();  // every row with a weight of its own
    };
    const at::Tensor wanted = gradient(plain);
    a.once = true;
    const at::Tensor worked_out = rows_kl(a), got = gradient(worked_out);
    EXPECT_EQ(got.scalar_type(), type);
    EXPECT_EQ(worked_out.scalar_type(), plain.scalar_type());
    // Sums in another order; gradients of bfloat16 logits have its eight bits, twice rounded where they are worked out.
    EXPECT_LT((worked_out - plain).abs().max().item<double>(), type == at::kDouble ? 1e-13 : 1e-5);
    const double noise = type == at::kDouble ? 1e-13 : type == at::kFloat ? 1e-5 : 0.01;
    EXPECT_LT((got - wanted).norm().item<double>(), noise * wanted.norm().item<double>()) << type;
  }
}

TEST(Losses, StreamsAreComparedRowByRow) {
  at::manual_seed(12);
  Answered a;
  a.feature_weight = at::ones({});
  a.logits = a.teacher = at::randn({2, 3, 5}, at::kDouble);
  a.labels = at::tensor({0, 4, -1, 2, -1, -1}, at::kLong).reshape({2, 3});
  for (int layer = 0; layer < 2; ++layer) {
    a.streams.push_back(at::randn({2, 3, 4}, at::kDouble).set_requires_grad(true));
    a.teacher_streams.push_back(at::randn({2, 3, 4}, at::kDouble) * 100);
  }
  for (int64_t e = 0; e < 2; ++e) {
    double sum = 0;
    const int64_t scored = e == 0 ? 2 : 1;
    for (int64_t r = 0; r < scored; ++r)
      for (size_t l = 0; l < 2; ++l)
        sum += ((a.streams[l][e][r] - a.teacher_streams[l][e][r]).square().sum() /
                a.teacher_streams[l][e][r].square().sum())
                   .item<double>();
    Answered heavier = a;
    heavier.feature_weight = at::full({}, 3);
    const double wanted = sum / static_cast<double>(2 * scored);
    EXPECT_NEAR(find_loss("distillation-streams").of_examples(a)[e].item<double>(), wanted, 1e-12);
    EXPECT_NEAR(find_loss("distillation-streams").of_examples(heavier)[e].item<double>(), 3 * wanted, 1e-12)
        << "the answers are the teacher's";
  }
  const at::Tensor got =
      torch::autograd::grad({find_loss("distillation-streams").of_examples(a).sum()}, {a.streams[1]})[0];
  const at::Tensor start = a.streams[1].detach().clone();
  constexpr double kStep = 1e-5;
  for (int64_t i = 0; i < start.numel(); ++i) {
    const auto at_step = [&](double by) {
      a.streams[1] = start.clone();
      a.streams[1].view(-1)[i] += by;
      return find_loss("distillation-streams").of_examples(a).sum().item<double>();
    };
    EXPECT_NEAR(got.view(-1)[i].item<double>(), (at_step(kStep) - at_step(-kStep)) / (2 * kStep), 1e-8);
  }
}

/// Unit vectors of four images and their texts in float64; images 0 and 2 share a text.
Answered made_up_pairs() {
  at::manual_seed(8);
  const auto units = [](const at::Tensor& x) { return x / x.norm(2, -1, true); };
  Answered a;
  a.feature_weight = at::ones({});
  const at::Tensor texts = units(at::randn({4, 3}, at::kDouble));
  texts[2].copy_(texts[0]);
  a.pairs = {units(at::randn({4, 3}, at::kDouble)), texts, at::full({1}, 5.0, at::kDouble)};
  a.teacher_pairs = {units(at::randn({4, 3}, at::kDouble)), units(at::randn({4, 3}, at::kDouble)), {}};
  const at::Tensor own = at::tensor({0, 1, 0, 3}, at::kLong);
  a.same_text = own.unsqueeze(0) == own.unsqueeze(1);
  return a;
}

TEST(Losses, PairsAreToldApartBothWays) {
  const Answered a = made_up_pairs();
  const auto cosine = [&](int64_t i, int64_t t) {
    return 5 * (a.pairs.images[i] * a.pairs.texts[t]).sum().item<double>();
  };
  for (int64_t e = 0; e < 4; ++e) {
    double own = 0, all = 0, own_images = 0, all_images = 0;
    for (int64_t o = 0; o < 4; ++o) {
      const bool same = a.same_text[e][o].item<bool>();
      all += std::exp(cosine(e, o));
      all_images += std::exp(cosine(o, e));
      own += same ? std::exp(cosine(e, o)) : 0;
      own_images += same ? std::exp(cosine(o, e)) : 0;
    }
    const double expected = -(std::log(own / all) + std::log(own_images / all_images)) / 2;
    EXPECT_NEAR(find_loss("contrastive").of_examples(a)[e].item<double>(), expected, 1e-12);
    const auto angle = [&](const at::Tensor& x, const at::Tensor& y) { return 1 - (x[e] * y[e]).sum().item<double>(); };
    EXPECT_NEAR(find_loss("contrastive-features").of_examples(a)[e].item<double>(),
                expected + angle(a.pairs.images, a.teacher_pairs.images) + angle(a.pairs.texts, a.teacher_pairs.texts),
                1e-12);
  }
}

TEST(Losses, GradientsOfPairsAreThoseOfFiniteDifferences) {
  Answered a = made_up_pairs();
  const at::Tensor start = a.pairs.images.clone(), texts = a.pairs.texts.clone();
  const auto loss = [&](const at::Tensor& images, const at::Tensor& own) {
    a.pairs.images = images;
    a.pairs.texts = own;
    return find_loss("contrastive-features").of_examples(a).sum();
  };
  const at::Tensor images = start.clone().set_requires_grad(true), own = texts.clone().set_requires_grad(true);
  const std::vector<at::Tensor> got = torch::autograd::grad({loss(images, own)}, {images, own});
  constexpr double kStep = 1e-6;
  for (int64_t i = 0; i < start.numel(); ++i) {
    const at::Tensor step = at::zeros_like(start);
    step.view(-1)[i] = kStep;
    const auto slope = [&](const at::Tensor& up, const at::Tensor& down) {
      return (up - down).item<double>() / (2 * kStep);
    };
    EXPECT_NEAR(got[0].view(-1)[i].item<double>(), slope(loss(start + step, texts), loss(start - step, texts)), 1e-8);
    EXPECT_NEAR(got[1].view(-1)[i].item<double>(), slope(loss(start, texts + step), loss(start, texts - step)), 1e-8);
  }
}

TEST(Schedule, RisesAndFalls) {
  const LearningRate cosine{.decay = find_decay("cosine"), .steps = 100, .warm_up = 10};
  LearningRate exponential = cosine;
  exponential.decay = find_decay("exponential");
  EXPECT_DOUBLE_EQ(cosine.at(0), 0.1);
  EXPECT_DOUBLE_EQ(cosine.at(9), 1.0);
  EXPECT_DOUBLE_EQ(cosine.at(10), 1.0);
  EXPECT_NEAR(cosine.at(99), 0.01, 1e-12);
  EXPECT_DOUBLE_EQ((LearningRate{.decay = cosine.decay, .peak = 2}).at(0), 2.0);
  EXPECT_NEAR(exponential.at(99), 0.01, 1e-12);
  EXPECT_NEAR(exponential.at(20, /*passed=*/0.5), 0.1, 1e-12);  // as much each time
  exponential.last = 0.25;
  EXPECT_NEAR(exponential.at(20, /*passed=*/0.5), 0.5, 1e-12);
  EXPECT_NEAR(exponential.at(99), 0.25, 1e-12);
  expect_error(ErrorKind::kInvalidArgument, {"no decay", "exponential"}, [] { find_decay("linear"); });
  // Time that runs out first; of the steps half of the fall is over.
  EXPECT_NEAR(cosine.at(20, /*passed=*/1.0), 0.01, 1e-12);
  EXPECT_DOUBLE_EQ(cosine.at(60, /*passed=*/0.2), cosine.at(60));
}

TEST(AdamW, AgreesWithTheTensorLibrarys) {
  at::manual_seed(4);
  const at::Tensor start = at::randn({6, 5}, at::kDouble);
  at::Tensor theirs = start.clone().set_requires_grad(true);
  const at::Tensor ours = start.clone().set_requires_grad(true);
  torch::optim::AdamW reference(std::vector<at::Tensor>{theirs}, torch::optim::AdamWOptions(0.01).weight_decay(0.1));
  AdamW optimizer({{ours, 1, 0.1}});
  for (int64_t step = 1; step <= 20; ++step) {
    const at::Tensor gradient = at::randn({6, 5}, at::kDouble);
    theirs.mutable_grad() = gradient.clone();
    reference.step();
    optimizer.step(step, {gradient}, 0.01);
  }
  EXPECT_LT((theirs - ours).abs().max().item<double>(), 1e-14);
}

TEST(AdamW, NumbersMoveByTheirOwnWidths) {
  at::manual_seed(5);
  const at::Tensor start = at::randn({6, 4}), widths = at::tensor({0.0f, 0.5f, 1.0f, 3.0f});
  const at::Tensor together = start.clone(), apart = start.clone();
  AdamW optimizer({{together, 2, 0, widths.expand({6, 4}).clone()}});
  std::vector<AdamWParameter> columns;
  for (int64_t c = 0; c < 4; ++c) columns.push_back({apart.select(1, c), 2.0 * widths[c].item<double>()});
  AdamW one_by_one(columns);
  for (int64_t step = 1; step <= 5; ++step) {
    const at::Tensor gradient = at::randn({6, 4});
    optimizer.step(step, {gradient}, 0.01);
    std::vector<at::Tensor> parts;
    for (int64_t c = 0; c < 4; ++c) parts.push_back(gradient.select(1, c));
    one_by_one.step(step, parts, 0.01);
  }
  EXPECT_LT((together - apart).abs().max().item<double>(), 1e-6);
  EXPECT_TRUE(at::equal(together.select(1, 0), start.select(1, 0)));
}

TEST(AdamW, AGpuStepsAsTheCpuDoes) {
  if (!at::hasCUDA()) GTEST_SKIP() << "libtorch has no CUDA here";
  at::manual_seed(6);
  const at::Tensor start = at::randn({70, 33}), widths = at::rand({70, 33});
  const at::Tensor here = start.clone(), there = start.to(at::kCUDA);
  AdamW on_cpu({{here, 2, 0.1, widths}}), on_gpu({{there, 2, 0.1, widths.to(at::kCUDA)}});
  for (int64_t step = 1; step <= 5; ++step) {
    const at::Tensor gradient = at::randn({70, 33}), factor = at::full({}, 0.25, at::kDouble);
    on_cpu.step(step, {gradient}, 0.01, factor);
    on_gpu.step(step, {gradient.to(at::kCUDA)}, 0.01, factor.to(at::kCUDA));
  }
  // Five steps, in each the last bit of numbers up to 4 (2^-21 = 5e-7) may fall otherwise.
  EXPECT_LT((here - there.cpu()).abs().max().item<double>(), 3e-6);
  EXPECT_LT((on_cpu.second()[0] - on_gpu.second()[0].cpu()).abs().max().item<double>(), 1e-6);
}

}  // namespace
}  // namespace vernier
