// What may be done besides rounding in the loop: penalties, fewer numbers that learn, more text.

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <tuple>
#include <utility>

#include "engine/aten_model.h"
#include "finetune/adamw.h"
#include "finetune/averaged_weights.h"
#include "finetune/gradient_l1.h"
#include "finetune/moved_images.h"
#include "finetune/resampled_text.h"
#include "finetune/singular_band.h"
#include "quantize/trained_matrix.h"
#include "support/expect_error.h"
#include "support/training_data.h"
#include "vernier/planning.h"
#include "vernier/quantize.h"

namespace vernier {
namespace {

at::Tensor gradient_of(const at::Tensor& out, const at::Tensor& of) { return torch::autograd::grad({out}, {of})[0]; }

/// Central differences of a scalar function, in float64.
template <class Function>
at::Tensor slopes(const Function& f, const at::Tensor& at) {
  constexpr double kStep = 1e-6;
  const at::Tensor out = at::zeros_like(at);
  for (int64_t i = 0; i < at.numel(); ++i) {
    const at::Tensor step = at::zeros_like(at);
    step.view(-1)[i] = kStep;
    out.view(-1)[i] = (f(at + step) - f(at - step)) / (2 * kStep);
  }
  return out;
}

TEST(Remedies, TheGradientsMagnitudesArePenalised) {
  at::manual_seed(6);
  const at::Tensor inputs = at::randn({7, 4}, at::kDouble), start = at::randn({3, 4}, at::kDouble);
  const auto loss = [&](const at::Tensor& w) { return at::matmul(inputs, w.t()).tanh().square().sum(); };
  const auto penalty = [&](const at::Tensor& w) {
    const at::Tensor leaf = w.detach().clone().set_requires_grad(true);
    return gradient_of(loss(leaf), leaf).abs().sum().item<double>();
  };
  const at::Tensor w = start.clone().set_requires_grad(true);
  const at::Tensor got = gradient_l1(loss(w), {w});
  EXPECT_NEAR(got.item<double>(), penalty(start), 1e-12);
  EXPECT_LT((gradient_of(got, w) - slopes(penalty, start)).abs().max().item<double>(), 1e-6);
}

TEST(Remedies, TextsAreDrawnAnewFromTheModelsAnswers) {
  constexpr int64_t kVocabulary = 7, kTexts = 6, kTime = 400;
  const at::Tensor ids = at::full({kTexts, kTime}, 6, at::kLong);
  // After a token at time t nothing but t % 3, three times as often as its neighbour, is likely.
  const at::Tensor logits = at::full({kTexts, kTime, kVocabulary}, -1e9);
  for (int64_t t = 0; t < kTime; ++t) {
    logits.select(1, t).select(1, t % 3).fill_(std::log(3.0));
    logits.select(1, t).select(1, t % 3 + 1).fill_(0.0);
  }
  EXPECT_TRUE(at::equal(resampled_text(ids, logits, redraws_of(kTexts, kTime, 0, 1, 8)), ids));
  const Redraws redraws = redraws_of(kTexts, kTime, 0.25, 1, 8);
  const at::Tensor changed = resampled_text(ids, logits, redraws), drawn = changed != ids;
  EXPECT_TRUE(at::equal(drawn, redraws.drawn));
  EXPECT_TRUE(at::equal(changed.select(1, 0), ids.select(1, 0)));
  EXPECT_NEAR(drawn.to(at::kFloat).mean().item<float>(), 0.25f, 0.03f);
  const at::Tensor before = at::arange(-1, kTime - 1, at::kLong).remainder(3).unsqueeze(0);
  const at::Tensor likely = (changed == before).logical_and(drawn), next = (changed == before + 1).logical_and(drawn);
  EXPECT_TRUE(at::equal(likely.logical_or(next), drawn));
  EXPECT_NEAR(likely.sum().item<double>() / drawn.sum().item<double>(), 0.75, 0.06);
  // What a text becomes depends on its draw alone.
  EXPECT_TRUE(at::equal(resampled_text(ids.narrow(0, 1, 3), logits.narrow(0, 1, 3), redraws_of(3, kTime, 0.25, 1, 9)),
                        changed.narrow(0, 1, 3)));
}

TEST(Remedies, MeansOfWeightsForgetTheirBeginning) {
  const at::Tensor weight = at::full({2}, 100.0);
  AveragedWeights averaged({{weight, 1, 0}}, 0.9);
  double mean = 100;
  for (int64_t step = 1; step <= 200; ++step) {
    weight.fill_(static_cast<double>(step % 2));
    averaged.add(step);
    const double kept = std::min(0.9, static_cast<double>(step) / static_cast<double>(step + 10));
    mean = kept * mean + (1 - kept) * static_cast<double>(step % 2);
  }
  averaged.exchange();
  EXPECT_NEAR(weight[0].item<float>(), mean, 1e-5);
  EXPECT_NEAR(mean, 0.5, 0.05);
  averaged.exchange();
  EXPECT_EQ(weight[0].item<float>(), 0.0f);
}

/// A layer that learns to answer like its own full-precision weights, on inputs of which few directions make up the most:
/// the mean squared error of its outputs, and the share of codes that changed in one of the last hundred steps.
std::pair<double, double> trained_layer(double dampening) {
  constexpr int64_t kRows = 16, kCols = 64, kSteps = 1000, kBatch = 16;
  constexpr double kRate = 0.01;  // levels a step
  at::manual_seed(3);
  const at::Tensor power = 1 / at::arange(1, kCols + 1, at::kFloat);
  const at::Tensor spread = at::randn({kCols, kCols}) * (power * kCols / power.sum()).sqrt() / std::sqrt(kCols);
  const at::Tensor weight = at::randn({kRows, kCols});
  TrainedMatrix matrix(Scheme::parse("int3:channel:asym"), kRows, kCols, {}, at::kCPU);
  matrix.fit(weight, 1);
  const at::Tensor latent = weight.clone().set_requires_grad(true);
  AdamW optimizer({{latent, matrix.level_width(), 0}});
  int64_t changed = 0;
  for (int64_t step = 0; step < kSteps; ++step) {
    const at::Tensor inputs = at::randn({kBatch, kCols}).matmul(spread.t()), seen = matrix.seen(latent);
    const at::Tensor loss = (seen - weight).matmul(inputs.t()).square().mean();
    const double rate = kRate * std::pow(0.01, static_cast<double>(step) / kSteps);
    optimizer.step(step + 1, {gradient_of(loss, latent)}, rate);
    matrix.bound(latent);
    matrix.dampen(latent, dampening * rate * static_cast<double>(step) / kSteps);
    if (step >= kSteps - 100) changed += matrix.seen(latent).ne(seen).sum().item<int64_t>();
  }
  const at::Tensor error = (matrix.seen(latent).detach() - weight).matmul(spread);
  return {error.square().mean().item<double>(), static_cast<double>(changed) / (100.0 * kRows * kCols)};
}

TEST(Remedies, DampenedWeightsSettleInsteadOfGoingBackAndForth) {
  const auto [error, changing] = trained_layer(0);
  const auto [settled, still_changing] = trained_layer(1);
  EXPECT_GT(changing, 0.01);  // although the rate has fallen to a hundredth
  EXPECT_LT(still_changing, 0.1 * changing);
  EXPECT_LT(settled, 0.5 * error);
}

TEST(Remedies, SingularValuesLearnWithTheirNeighbours) {
  at::manual_seed(9);
  for (const auto& shape : {std::array<int64_t, 2>{5, 3}, std::array<int64_t, 2>{3, 6}}) {
    const at::Tensor start = at::randn({shape[0], shape[1]}, at::kDouble);
    const SingularBand band(start, 1);
    EXPECT_TRUE(at::equal(band.values(), start));
    const auto [left, singular, right] = at::linalg_svd(start, false);
    const at::Tensor learned = at::randn({3, 3}, at::kDouble);
    band.band().detach().copy_(learned);
    at::Tensor middle = at::diag_embed(singular);
    for (int64_t i = 0; i < 3; ++i) {
      middle[i][i] += learned[1][i];
      if (i == 2) continue;
      middle[i + 1][i] += learned[0][i];
      middle[i][i + 1] += learned[2][i];
    }
    EXPECT_LT((band.values() - at::matmul(at::matmul(left, middle), right)).abs().max().item<double>(), 1e-12);
    const at::Tensor upstream = at::randn_like(start);
    const auto smooth = [&](const at::Tensor& values) {
      SingularBand other(start, 1);
      other.band().detach().copy_(values);
      return (other.values() * upstream).sum().item<double>();
    };
    EXPECT_LT((gradient_of((band.values() * upstream).sum(), band.band()) - slopes(smooth, learned))
                  .abs()
                  .max()
                  .item<double>(),
              1e-8);
  }
}

TEST(Remedies, RecipesWithThemRunAndExport) {
  const Model model = fixture_model("llama");
  const Plan plan = plan_uniform(model, "int2:g32:asym", "huggingface");
  const auto tuned = [&](const auto& change) {
    FinetuneOptions options;
    options.steps = 30;
    options.batch = 8;
    options.learning_rate = 3e-3;
    options.evaluate_steps = 15;
    options.compute.threads = 1;
    change(options);
    return finetune(model, plan, {}, made_up_training(64), made_up_training(32, 100), options);
  };
  const FinetuneResult results[] = {tuned([](FinetuneOptions& o) { o.singular_band = 2; }),
                                    tuned([](FinetuneOptions& o) { o.drop_bits = 0.2; }), tuned([](FinetuneOptions& o) {
                                      o.gradient_l1 = 1e-4;
                                      o.loss = "both";
                                    })};
  for (const FinetuneResult& result : results) {
    EXPECT_LT(result.trained.best, result.trained.points[0].validation.worst_kl_nats());
    const QuantizedModel written = quantize(result.model, {}, finetuned_plan(plan), 1);
    for (const TensorId& id : model.matrices())
      EXPECT_TRUE(at::equal(written.values(id), result.model.weight(id))) << name_of(id);
  }
}

// Trained without rounding, with the penalty: first-order harm of later rounding falls.
TEST(Remedies, ThePenaltyLowersTheGradient) {
  const Model model = fixture_model("llama");
  const Plan exact = plan_uniform(model, "f32", "huggingface");
  const auto magnitude = [&](double weight) {
    FinetuneOptions options;
    options.steps = 20;
    options.batch = 8;
    options.learning_rate = 1e-3;
    options.loss = "cross-entropy";
    options.objective = "mean-nll";
    options.evaluate_steps = 20;
    options.gradient_l1 = weight;
    options.compute.threads = 1;
    const FinetuneResult tuned = finetune(model, exact, {}, made_up_training(64), made_up_training(32, 100), options);
    const Model leaves = to_float32(tuned.model, true);
    std::vector<at::Tensor> weights;
    for (const TensorId& id : leaves.matrices()) weights.push_back(leaves.weight(id));
    at::Tensor ids = at::zeros({16, 24}, at::kLong);
    const TrainingData text = made_up_training(16, 200);
    for (int64_t r = 0; r < 16; ++r)
      for (int64_t t = 0; t < 24; ++t) ids[r][t] = text.windows[static_cast<size_t>(r)].tokens[static_cast<size_t>(t)];
    return gradient_l1(language_model_loss(leaves, ids), weights).item<double>();
  };
  EXPECT_LT(magnitude(0.01), magnitude(0));
}

TEST(Remedies, ImagesMoveByWholePixels) {
  const at::Tensor images = at::arange(2 * 3 * 6 * 6, at::kFloat).reshape({2, 3, 6, 6}).repeat({40, 1, 1, 1});
  const at::Tensor moved = moved_images(images, {.shift = 2, .mirror = true}, 3, 100);
  EXPECT_TRUE(at::equal(moved, moved_images(images, {.shift = 2, .mirror = true}, 3, 100)));
  EXPECT_TRUE(at::equal(moved.narrow(0, 10, 5), moved_images(images.narrow(0, 10, 5), {2, true}, 3, 110)));
  const at::Tensor same = images.narrow(0, 0, 80);
  EXPECT_TRUE(at::equal(moved_images(same, {}, 3, 0), same));
  std::set<std::tuple<int64_t, int64_t, bool>> seen;
  for (int64_t i = 0; i < 80; ++i) {
    int found = 0;
    for (int64_t dy = -2; dy <= 2; ++dy)
      for (int64_t dx = -2; dx <= 2; ++dx)
        for (const bool mirrored : {false, true}) {
          at::Tensor expected = at::empty_like(images[i]);
          for (int64_t y = 0; y < 6; ++y)
            for (int64_t x = 0; x < 6; ++x)
              expected.select(2, mirrored ? 5 - x : x)
                  .select(1, y)
                  .copy_(images[i]
                             .select(2, std::clamp<int64_t>(x + dx, 0, 5))
                             .select(1, std::clamp<int64_t>(y + dy, 0, 5)));
          if (!at::equal(moved[i], expected)) continue;
          ++found;
          seen.insert({dy, dx, mirrored});
        }
    EXPECT_EQ(found, 1) << i;
  }
  EXPECT_GT(seen.size(), 25U);
}

TEST(Remedies, PatchesAreRectanglesOfTheNextImage) {
  const at::Tensor images = at::arange(120, at::kFloat).view({120, 1, 1, 1}).expand({120, 3, 8, 6}).contiguous();
  const at::Tensor mixed = cutmix_images(images, 0.5, 7, 40);
  EXPECT_TRUE(at::equal(mixed, cutmix_images(images, 0.5, 7, 40)));
  EXPECT_TRUE(at::equal(cutmix_images(images, 0, 7, 40), images));
  int64_t changed = 0;
  double pasted = 0;
  for (int64_t i = 0; i < 120; ++i) {
    const at::Tensor other = mixed[i] != images[i];
    if (!other.any().item<bool>()) continue;
    ++changed;
    EXPECT_TRUE(mixed[i].masked_select(other).eq((i + 1) % 120).all().item<bool>()) << "of the next image alone";
    // A rectangle: its rows times its columns, the same in all channels.
    const at::Tensor plane = other[0];
    EXPECT_EQ(plane.any(1).sum().item<int64_t>() * plane.any(0).sum().item<int64_t>(), plane.sum().item<int64_t>());
    EXPECT_TRUE(at::equal(plane, other[2]));
    pasted += plane.to(at::kFloat).mean().item<double>();
  }
  // 60 expected with a standard deviation of 5.5; rectangles of less than a pixel change nothing.
  EXPECT_GT(changed, 35);
  EXPECT_LT(changed, 82);
  EXPECT_GT(pasted / static_cast<double>(changed), 0.15);
}

TEST(Remedies, PatchesThatAreKeptAreAsManyOfEveryImageAndAllAsOften) {
  const at::Tensor kept = kept_patches(2000, 16, 0.7, 7, 40);  // 4.8 of 16
  EXPECT_EQ(kept.sizes(), at::IntArrayRef({2000, 5}));
  EXPECT_TRUE((kept.narrow(1, 1, 4) > kept.narrow(1, 0, 4)).all().item<bool>()) << "ascending, none twice";
  EXPECT_GE(kept.min().item<int64_t>(), 0);
  EXPECT_LT(kept.max().item<int64_t>(), 16);
  // A draw's choice is its own, whichever batch it comes in.
  EXPECT_TRUE(at::equal(kept.narrow(0, 900, 100), kept_patches(100, 16, 0.7, 7, 940)));
  // 625 expected of each, with a standard deviation of 21.
  const at::Tensor times = at::bincount(kept.reshape(-1), {}, 16);
  EXPECT_GT(times.min().item<int64_t>(), 525);
  EXPECT_LT(times.max().item<int64_t>(), 725);
  EXPECT_EQ(kept_patches(3, 16, 0.99, 7, 0).size(1), 1) << "one at least";
}

TEST(SelfText, GoesOnFromBeginningsAsTheModelWould) {
  const Model model = fixture_model("llama");
  const TrainingData begin = made_up_training(12);
  const auto written = [&](uint64_t seed) { return self_written_text(model, begin, 70, 3, "balanced", seed, {}); };
  const TrainingData text = written(4);
  EXPECT_EQ(text.size(), 70);
  EXPECT_EQ(text.hash, written(4).hash);
  EXPECT_NE(text.hash, written(5).hash);
  std::vector<int> of_group(3, 0);
  for (const int32_t group : text.group) ++of_group[static_cast<size_t>(group)];
  for (const int count : of_group) EXPECT_GT(count, 8);
  for (const TokenWindow& window : text.windows) {
    EXPECT_EQ(window.tokens.size(), begin.windows[0].tokens.size());
    EXPECT_TRUE(std::ranges::any_of(begin.windows, [&](const TokenWindow& own) {
      return std::equal(own.tokens.begin(), own.tokens.begin() + 3, window.tokens.begin());
    }));
  }
  // What is drawn from the answers has their mean entropy as its mean loss; text that nobody wrote is less likely.
  const FinetuneEvaluation own = evaluate_finetuned(model, model, text, {}),
                           other = evaluate_finetuned(model, model, begin, {});
  EXPECT_LT(own.all.nll_nats.mean, other.all.nll_nats.mean);
  expect_error(ErrorKind::kInvalidArgument, {"at least 1"},
               [&] { self_written_text(model, begin, 0, 3, "balanced", 1, {}); });
  TrainingData uneven = begin;  // a short one neither shortens what is written nor is gone beyond in the others
  uneven.windows[0].tokens.resize(2);
  for (const TokenWindow& window : self_written_text(model, uneven, 30, 3, "uniform", 4, {}).windows)
    EXPECT_EQ(window.tokens.size(), begin.windows[0].tokens.size());
  EXPECT_TRUE(text.piece_starts.empty());
  TrainingData packed = begin;  // what was begun with may hold the beginning of a further piece
  packed.piece_starts.assign(12, {2, 9});
  EXPECT_EQ(self_written_text(model, packed, 5, 3, "uniform", 4, {}).piece_starts,
            (std::vector<std::vector<int32_t>>(5, {2})));
  const TrainingData both = joined_training_data(begin, text);
  EXPECT_EQ(both.size(), 82);
  ASSERT_EQ(both.self_written.size(), 82u);
  for (size_t i = 0; i < 82; ++i) EXPECT_EQ(both.self_written[i], i >= 12);
  const TrainingData drawn = drawn_examples(both, "uniform", 40, 1);
  for (size_t i = 0; i < 40; ++i)
    EXPECT_EQ(drawn.self_written[i], std::ranges::any_of(text.windows, [&](const TokenWindow& own) {
                return own.tokens == drawn.windows[i].tokens;
              }));
  TrainingData foreign = text;
  foreign.groups[0] = "other";
  expect_error(ErrorKind::kInvalidArgument, {"different groups"}, [&] { joined_training_data(begin, foreign); });
}

}  // namespace
}  // namespace vernier
