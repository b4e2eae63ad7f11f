#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "activations/outlier_features.h"
#include "activations/watched_facts.h"
#include "support/models.h"
#include "support/vision_models.h"

namespace vernier {
namespace {

using Watched = std::map<SiteId, std::vector<at::Tensor>>;  // by window

/// Every site in float64, by the differentiable forward.
Watched watch_exactly(const Model& model, const EvaluationData& data) {
  const c10::NoGradGuard no_grad;
  Model wide(model.config(), model.source());
  for (const TensorId& id : model.tensors()) wide.set_weight(id, model.weight(id).to(at::kDouble));
  Watched watched;
  for (const TokenWindow& window : data.windows) {
    const AtenModel ready(wide, static_cast<int64_t>(window.tokens.size()));
    const AtenObserver observer = [&](const SiteId& site, const at::Tensor& x) {
      SiteId key = site;
      key.expert = -1;
      if (site.expert < 0 || site.site != Site::kFfnInput) watched[key].push_back(x.reshape({-1, x.size(-1)}));
    };
    const std::vector<int64_t> ids(window.tokens.begin(), window.tokens.end());
    const at::Tensor stream = ready.embed(at::tensor(ids, at::kLong).unsqueeze(0));
    observer({Site::kResidual}, stream);
    observer({Site::kOutputInput},
             ready.finish(ready.ops(static_cast<int64_t>(ids.size()), &observer, true), stream, 0, 0));
  }
  return watched;
}

/// The same of a stack that sees, image by image.
Watched watch_images_exactly(const Model& stack, const AnswerData& data) {
  const c10::NoGradGuard no_grad;
  Model wide(stack.config(), stack.source());
  for (const TensorId& id : stack.tensors()) wide.set_weight(id, stack.weight(id).to(at::kDouble));
  const PatchConfig& patches = stack.config().patches;
  const AtenModel ready(wide, patches.rows());
  Watched watched;
  const AtenObserver observer = [&](const SiteId& site, const at::Tensor& x) {
    watched[site].push_back(x.reshape({-1, x.size(-1)}));
  };
  const AtenOps ops = ready.ops(patches.rows(), &observer, true);
  for (int64_t i = 0; i < data.inputs.images; ++i) {
    const at::Tensor pixels = at::tensor(data.inputs.pixels(i)).to(at::kDouble);
    const at::Tensor stream =
        ready.embed_images(ops, pixels.view({1, patches.channels, patches.image_size, patches.image_size}));
    observer({Site::kResidual}, stream);
    ready.read_out(ops, ready.finish(ops, stream, 0, 0), at::full({1}, patches.count(), at::kLong));
  }
  return watched;
}

double number(const at::Tensor& t) { return t.to(at::kDouble).item<double>(); }

double quantile_of(const at::Tensor& sorted, double share) {
  const double place = share * static_cast<double>(sorted.numel() - 1);
  const auto below = static_cast<int64_t>(place);
  const double low = number(sorted[below]), high = number(sorted[std::min(below + 1, sorted.numel() - 1)]);
  return low + (high - low) * (place - static_cast<double>(below));
}

void expect_figures(const SiteFigures& figures, const std::vector<at::Tensor>& windows, const std::string& site,
                    bool positions) {
  const at::Tensor x = at::cat(windows, 0), a = x.abs(), sorted = std::get<0>(a.flatten().sort());
  const at::Tensor centred = x - x.mean();
  EXPECT_EQ(figures.values, x.numel()) << site;
  EXPECT_NEAR(figures.mean, number(x.mean()), 1e-5 * number(a.mean())) << site;
  EXPECT_NEAR(figures.mean_abs / number(a.mean()), 1, 1e-5) << site;
  EXPECT_NEAR(figures.rms / number(x.square().mean().sqrt()), 1, 1e-5) << site;
  EXPECT_NEAR(figures.kurtosis / number(centred.pow(4).mean() / centred.square().mean().square()), 1, 1e-4) << site;
  EXPECT_NEAR(figures.abs_max / number(a.max()), 1, 1e-5) << site;
  EXPECT_NEAR(figures.channel_mean_abs / number(a.mean(0).median()), 1, 1e-5) << site;
  for (const auto& [ours, share] :
       {std::pair(figures.median_abs, 0.5), {figures.p99, 0.99}, {figures.p99_9, 0.999}, {figures.p99_99, 0.9999}})
    EXPECT_NEAR(ours / quantile_of(sorted, share), 1, 2.0 / 512) << site << " " << share;
  const auto [peaks, channels] = a.amax(0).topk(std::min<int64_t>(5, x.size(1)));
  ASSERT_EQ(static_cast<int64_t>(figures.peaks.size()), peaks.numel()) << site;
  for (int64_t i = 0; i < peaks.numel(); ++i)
    EXPECT_NEAR(figures.peaks[static_cast<size_t>(i)].abs_max / number(peaks[i]), 1, 1e-5) << site;
  EXPECT_EQ(figures.channels_from_6, (a.amax(0) >= 6).sum().item<int64_t>()) << site;
  if (!positions) return;
  double after_first = 0;
  for (const at::Tensor& window : windows)
    after_first = std::max(after_first, number(window.abs().narrow(0, 1, window.size(0) - 1).max()));
  EXPECT_NEAR(figures.abs_max_after_first / after_first, 1, 1e-5) << site;
}

/// A model whose channel 7 of the embedding is huge for a token: massive activations to be found.
Model with_a_massive_token(int64_t token) {
  Model model = to_float32(fixture_model("llama"));
  const TensorId id{TensorRole::kTokenEmbedding, -1};
  at::Tensor embedding = model.weight(id).clone();
  embedding[token][7] = 900;
  model.set_weight(id, embedding);
  return model;
}

class FactsOfModels : public ::testing::TestWithParam<std::string> {};

TEST_P(FactsOfModels, EqualThoseOfAllValuesInFloat64) {
  const Model model = fixture_model(GetParam());
  const EvaluationData data = made_up_windows(3, 40, 320);
  const Watched watched = watch_exactly(model, data);
  for (const char* device : {"cpu", "aten"}) {
    const ActivationFacts facts = activation_facts(model, data, {.threads = 2, .device = device});
    size_t looked_at = 0;
    for (const auto& [site, windows] : watched) {
      if (site.site == Site::kFirstTokenShare) continue;
      ASSERT_EQ(facts.sites.count(site), 1u) << name_of(site);
      const bool of_experts =
          site.site == Site::kFfnDownInput && model.config().layer(site.layer).feed_forward.experts.count > 0;
      expect_figures(facts.sites.at(site), windows, name_of(site), !of_experts);
      ++looked_at;
    }
    EXPECT_EQ(looked_at, facts.sites.size());
    EXPECT_EQ(facts.tokens, 120);
    for (int layer = 0; layer < model.config().depth(); ++layer) {
      const AttentionSink& sink = facts.sinks.at(layer);
      at::Tensor sum = at::zeros({static_cast<int64_t>(sink.heads.size())}, at::kDouble);
      for (const at::Tensor& shares : watched.at({Site::kFirstTokenShare, layer}))
        sum += shares.narrow(0, 20, shares.size(0) - 20).mean(0);
      for (size_t h = 0; h < sink.heads.size(); ++h)
        EXPECT_NEAR(sink.heads[h], number(sum[static_cast<int64_t>(h)]) / 3, 1e-6) << layer << " " << h;
      EXPECT_NEAR(sink.mean, number(sum.mean()) / 3, 1e-6);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, FactsOfModels, ::testing::ValuesIn(fixture_names()),
                         [](const auto& info) { return info.param; });

class FactsOfImages : public ::testing::TestWithParam<std::string> {};

TEST_P(FactsOfImages, EqualThoseOfAllValuesInFloat64) {
  const Model model = load_model(vision_fixture(GetParam()).string());
  const Model stack = model.config().stacks.empty() ? model : stack_of(model, Stack::kImage);
  const AnswerData data = golden_answer_data(model, GetParam());
  const Watched watched = watch_images_exactly(stack, data);
  for (const char* device : {"cpu", "aten"}) {
    ActivationStudyOptions options;
    options.compute = {.threads = 2, .device = device};
    const ActivationFacts facts = study_activations(model, data, data, options).facts;
    size_t looked_at = 0;
    for (const auto& [site, images] : watched) {
      if (site.site == Site::kFirstTokenShare) continue;
      ASSERT_EQ(facts.sites.count(site), 1u) << name_of(site);
      expect_figures(facts.sites.at(site), images, name_of(site), /*positions=*/false);
      ++looked_at;
    }
    EXPECT_EQ(looked_at, facts.sites.size());
    EXPECT_TRUE(facts.sites.contains({Site::kResidual, stack.config().depth() - 1}));
    EXPECT_TRUE(facts.sinks.empty()) << "the first row is a patch";
    EXPECT_EQ(facts.windows, data.inputs.images);
    EXPECT_EQ(facts.tokens, data.inputs.images * stack.config().patches.rows());
  }
}

INSTANTIATE_TEST_SUITE_P(Models, FactsOfImages, ::testing::ValuesIn(vision_fixture_names()),
                         [](const auto& info) { return info.param; });

// Written out: keys are turned by position, a head's share of the first token comes from its softmax.
TEST(ActivationFacts, KeysAndSharesAreThoseOfTheDefinition) {
  const Model model = fixture_model("llama");
  const EvaluationData data = made_up_windows(1, 24, 320);
  const Watched watched = watch_exactly(model, data);
  const AttentionConfig& config = model.config().layer(0).attention;
  const int64_t width = config.head_dim, half = width / 2;
  const at::Tensor x = watched.at({Site::kAttnInput, 0})[0];
  const auto heads_of = [&](TensorRole role, int64_t heads) {
    return at::matmul(x, model.weight({role, 0}).to(at::kDouble).t()).view({-1, heads, width});
  };
  const at::Tensor angles =
      at::outer(at::arange(24, at::kDouble), at::pow(model.config().rope.theta, -at::arange(half, at::kDouble) / half));
  const auto turned = [&](const at::Tensor& heads) {
    const at::Tensor cos = angles.cos().unsqueeze(1), sin = angles.sin().unsqueeze(1);
    const at::Tensor first = heads.narrow(-1, 0, half), second = heads.narrow(-1, half, half);
    return at::cat({first * cos - second * sin, second * cos + first * sin}, -1);
  };
  const at::Tensor q = turned(heads_of(TensorRole::kAttnQ, config.heads)),
                   k = turned(heads_of(TensorRole::kAttnK, config.kv_heads));
  EXPECT_TRUE(at::allclose(watched.at({Site::kKeys, 0})[0], k.reshape({24, -1}), 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(watched.at({Site::kValues, 0})[0],
                           heads_of(TensorRole::kAttnV, config.kv_heads).reshape({24, -1}), 1e-6, 1e-7));
  for (int64_t h = 0; h < config.heads; ++h) {
    const at::Tensor scores = at::matmul(q.select(1, h), k.select(1, h / config.queries_per_kv()).t()) /
                              std::sqrt(static_cast<double>(width));
    for (int64_t t = 0; t < 24; ++t)
      EXPECT_NEAR(number(watched.at({Site::kFirstTokenShare, 0})[0][t][h]),
                  number(scores[t].narrow(0, 0, t + 1).softmax(0)[0]), 1e-6);
  }
}

TEST(ActivationFacts, MassiveActivationsAreFoundWhereTheyAre) {
  EvaluationData data = made_up_windows(4, 32, 300);
  data.windows[1].tokens[0] = data.windows[1].tokens[9] = data.windows[3].tokens[4] = 310;
  const Model model = with_a_massive_token(310);
  const ActivationFacts facts = activation_facts(model, data, {.threads = 2});
  const MassiveActivations& massive = facts.sites.at({Site::kResidual}).massive;
  ASSERT_EQ(massive.count, 3);
  EXPECT_EQ(massive.windows, 2);
  ASSERT_EQ(massive.largest.size(), 3u);
  for (const MassiveActivation& one : massive.largest) {
    EXPECT_EQ(one.channel, 7);
    EXPECT_EQ(one.value, 900);
  }
  EXPECT_EQ(massive.channels, (std::vector<std::pair<int64_t, int64_t>>{{7, 3}}));
  EXPECT_EQ(massive.positions, (std::vector<std::pair<int64_t, int64_t>>{{0, 1}, {4, 1}, {9, 1}}));
}

TEST(ActivationFacts, ThreadsChangeNothing) {
  const EvaluationData data = made_up_windows(9, 24, 320);
  const Model model = fixture_model("qwen3");
  const ActivationFacts one = activation_facts(model, data, {.threads = 1}),
                        two = activation_facts(model, data, {.threads = 2});
  for (const auto& [site, figures] : one.sites) {
    EXPECT_EQ(figures.kurtosis, two.sites.at(site).kurtosis) << name_of(site);
    EXPECT_EQ(figures.mean_abs, two.sites.at(site).mean_abs) << name_of(site);
    EXPECT_EQ(figures.histogram, two.sites.at(site).histogram) << name_of(site);
  }
}

// Channel 3 of four layers of eight, in every tenth token of theirs: in 50% of layers, in 5% of tokens; channel 5 in
// 8%.
TEST(OutlierFeatures, AreChannelsOfManyLayersAndTokens) {
  std::map<SiteId, ActivationSums> sums;
  std::map<SiteId, SiteFigures> figures;
  for (int layer = 0; layer < 8; ++layer) {
    ActivationSums own;
    own.rows = 100;
    own.largest = {1, 7, 2, layer < 4 ? 6.0f : 1.0f, 5.9f, layer < 4 ? 30.0f : 0.5f};
    own.outlier_rows = {0, layer == 0 ? 100 : 0, 0, layer < 4 ? 10 : 0, 0, layer < 4 ? 16 : 0};
    own.largest[1] = layer == 0 ? 7.0f : 1.0f;
    sums[{Site::kResidual, layer}] = own;
    figures[{Site::kResidual, layer}].median_abs = 0.5;
  }
  const std::vector<OutlierFeature> features = outlier_features(sums, figures, 8);
  ASSERT_EQ(features.size(), 1u) << "channel 1 is in one layer only, channel 3 in too few tokens, 4 below the limit";
  EXPECT_EQ(features[0].channel, 5);
  EXPECT_EQ(features[0].site, Site::kResidual);
  EXPECT_DOUBLE_EQ(features[0].layer_share, 0.5);
  EXPECT_DOUBLE_EQ(features[0].token_share, 0.08);
  EXPECT_EQ(features[0].abs_max, 30.0f);
  EXPECT_DOUBLE_EQ(features[0].ratio_to_median, 60);
}

}  // namespace
}  // namespace vernier
