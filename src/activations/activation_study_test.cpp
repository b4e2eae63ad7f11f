#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "activations/resolve_grid.h"
#include "base/json.h"
#include "engine/engine.h"
#include "support/expect_error.h"
#include "support/models.h"
#include "support/vision_models.h"
#include "vernier/calibrate.h"
#include "vernier/evaluate.h"

namespace vernier {
namespace {

double kl_of(const Model& model, const EvaluationData& data, const RoundedSites& sites, const char* device = "cpu") {
  EvaluateOptions options{.compute = {.device = device}};
  options.sites = {std::make_shared<RoundedSites>(sites)};
  return evaluate({&model}, &model, data, options)[0].all.kl().mean;
}

/// Every input of a matrix, the output's too.
RoundedSites everywhere(const Model& model, const SiteRounding& rounding) {
  RoundedSites sites;
  for (const TensorSpec& tensor : model.blueprint().tensors())
    if (tensor.input) sites.inputs[*tensor.input] = rounding;
  return sites;
}

RoundedSites caches(const Model& model, const CacheFormat& keys, const CacheFormat& values) {
  RoundedSites sites;
  for (int layer = 0; layer < model.config().depth(); ++layer) {
    sites.caches[{Site::kKeys, layer}] = keys;
    sites.caches[{Site::kValues, layer}] = values;
  }
  return sites;
}

class RoundedModels : public ::testing::TestWithParam<std::string> {
 protected:
  Model model_ = fixture_model(GetParam());
  EvaluationData data_ = made_up_windows(3, 40, 320);
};

TEST_P(RoundedModels, BothEnginesRoundAlike) {
  using Span = ActivationGrid::Span;
  std::vector<RoundedSites> candidates;
  for (const SiteRounding& rounding : {SiteRounding{4, Span::kToken, {}},
                                       {4, Span::kTensor, {}},
                                       {4, Span::kChannel, {}},
                                       {4, Span::kTensor, {1.5f}},
                                       {4, Span::kToken, {}, 2}})
    candidates.push_back(everywhere(model_, rounding));
  for (const char* format : {"int4", "q8_0", "q4_0", "fp8"})
    candidates.push_back(caches(model_, CacheFormat::parse(format), CacheFormat::parse(format)));
  for (size_t i = 0; i < candidates.size(); ++i) {
    const double fused = kl_of(model_, data_, candidates[i]), plain = kl_of(model_, data_, candidates[i], "aten");
    EXPECT_GT(fused, 0) << i;
    // A value half way between two codes may go either way.
    EXPECT_NEAR(plain / fused, 1, 0.05) << i;
  }
}

// The whole model by a calibration's ranges or by token: what `evaluate --activations` does, matrix by matrix.
TEST_P(RoundedModels, EverySiteIsWhatActivationsRound) {
  const ActivationRanges ranges = activation_ranges(calibrate(model_, data_));
  for (const char* name : {"int4:token", "int6:tensor"}) {
    EvaluateOptions options;
    options.activations = Activations::parse(name);
    options.ranges = ranges;
    const double known = evaluate({&model_}, &model_, data_, options)[0].all.kl().mean;
    RoundedSites sites;
    for (const auto& [site, range] : ranges) {
      SiteRounding& rounding = sites.inputs[site];
      rounding.bits = options.activations.bits();
      if (options.activations.kind() == Activations::Kind::kPerTensor) {
        rounding.span = ActivationGrid::Span::kTensor;
        rounding.ranges = {range};
      }
    }
    if (options.activations.kind() == Activations::Kind::kPerTensor)
      for (auto& [site, rounding] : sites.inputs)  // an expert without tokens: each row by itself, as there
        if (rounding.ranges[0] == 0) rounding = {rounding.bits, ActivationGrid::Span::kToken, {}};
    EXPECT_NEAR(kl_of(model_, data_, sites) / known, 1, 1e-3) << name;
  }
}

TEST_P(RoundedModels, NoSitesIsNoChange) {
  EXPECT_EQ(kl_of(model_, data_, {}), 0);
  EXPECT_LT(kl_of(model_, data_, {}, "aten"), 1e-9);
}

INSTANTIATE_TEST_SUITE_P(Models, RoundedModels, ::testing::ValuesIn(fixture_names()),
                         [](const auto& info) { return info.param; });

// By hand: the rounded values of one site as another model whose matrix takes them exactly is not to be had, but
// channels that are all kept leave nothing to round, and kept weights of another model do its products.
TEST(KeptChannels, AreMultipliedByTheWeightsTheyAreGiven) {
  const Model model = fixture_model("llama");
  Model other = to_float32(model);
  for (const TensorId& id : other.matrices())
    if (id.layer >= 0) other.set_weight(id, other.weight(id) * 1.3);
  const EvaluationData data = made_up_windows(2, 24, 320);
  RoundedSites sites;
  for (const TensorSpec& tensor : model.blueprint().tensors())
    if (tensor.input && tensor.id.layer >= 0)
      sites.inputs[*tensor.input] = {4, ActivationGrid::Span::kToken, {}, 1e-30f};
  sites.kept_weights = &model;
  for (const char* device : {"cpu", "aten"}) {
    EvaluateOptions options{.compute = {.device = device}};
    EXPECT_GT(evaluate({&other}, &model, data, options)[0].all.kl().mean, 1e-4);
    options.sites = {std::make_shared<RoundedSites>(sites)};
    EXPECT_LT(evaluate({&other}, &model, data, options)[0].all.kl().mean, 1e-9) << device;
  }
}

TEST(ActivationStudies, HoldEverySiteAloneAndTogether) {
  const Model model = fixture_model("llama");
  const EvaluationData calibration = made_up_windows(4, 32, 320), data = made_up_windows(3, 40, 300);
  ActivationStudyOptions options;
  for (const char* grid : {"int8:token", "int4:tensor", "int4:channel", "int4:tensor:mse", "int4:tensor:entropy"})
    options.grids.push_back(ActivationGrid::parse(grid));
  for (const char* format : {"q8_0", "int3"}) options.caches.push_back(CacheFormat::parse(format));
  const ActivationStudy study = study_activations(model, calibration, data, options);
  ASSERT_EQ(study.grids.size(), 5u);
  for (const GridFigures& grid : study.grids) {
    const std::string name = grid.grid.name();
    EXPECT_EQ(grid.alone.size(), 4u) << name;
    const RoundedSites sites = round_sites(model, grid.grid, rounded_sites_of(model), calibration);
    EXPECT_NEAR(grid.together.mean / kl_of(model, data, sites), 1, 1e-6) << name;
    EXPECT_EQ(grid.growth.size(), 3u) << name;
    EXPECT_GT(grid.growth[0], 0) << name;
    EXPECT_EQ(grid.local.size(), 12u) << name;
    EXPECT_EQ(grid.ranges.size(), grid.grid.is_static() && grid.grid.span == ActivationGrid::Span::kTensor ? 12u : 0u);
  }
  EXPECT_LT(study.grids[0].together.mean, study.grids[1].together.mean);
  const SiteId down{Site::kFfnDownInput, 1};
  EXPECT_LE(study.grids[3].local.at(down).mse, study.grids[1].local.at(down).mse * 1.02)
      << "on the text of the ranges the MSE range is the best; on another one nearly";
  EXPECT_EQ(study.caches[0].local.size(), 6u);
  EXPECT_LT(study.caches[0].both.mean, study.caches[1].both.mean);
  const auto json = activation_study_to_json(study);
  EXPECT_EQ(json.at("grids").size(), 5u);
  EXPECT_EQ(json.at("grids")[0].at("alone").size(), 4u);
  EXPECT_TRUE(json.at("facts").at("sites").contains("L1.residual"));
  EXPECT_EQ(activation_study_to_json(activation_study_from_json(json, "a.json")).dump(), json.dump());
  for (const char* key : {"facts", "grids", "caches", "model", "schema_version"}) {
    auto without = json;
    without.erase(key);
    expect_error(ErrorKind::kBadFile, {"a.json", key}, [&] { activation_study_from_json(without, "a.json"); });
  }
  auto strange = json;
  strange["grids"][0]["grid"] = "int99:token";
  expect_error(ErrorKind::kBadFile, {"a.json", "int99:token"}, [&] { activation_study_from_json(strange, "a.json"); });
}

TEST(ActivationStudies, OfModelsThatSeeMeasureTheirClasses) {
  for (const auto& [name, tower] : {std::pair("vit", Stack::kImage),
                                    {"deit_distilled", Stack::kImage},
                                    {"clip", Stack::kImage},
                                    {"clip", Stack::kText}}) {
    const Model model = load_model(vision_fixture(name).string());
    const AnswerData data = golden_answer_data(model, name);
    ActivationStudyOptions options;
    options.tower = tower;
    for (const char* grid : {"int8:token", "int4:tensor", "int4:tensor:dynamic"})
      options.grids.push_back(ActivationGrid::parse(grid));
    std::vector<ActivationStudy> studies;
    for (const char* device : {"cpu", "aten"}) {
      options.compute = {.threads = 2, .device = device};
      studies.push_back(study_activations(model, data, data, options));
    }
    const ActivationStudy& study = studies.front();
    EXPECT_EQ(study.inputs, tower == Stack::kText ? "prompt" : "image");
    EXPECT_EQ(study.model_hash, model_hash(model));
    EXPECT_EQ(study.images, data.inputs.images);
    EXPECT_EQ(study.facts.sinks.empty(), tower == Stack::kImage) << name;
    for (const auto& [layer, sink] : study.facts.sinks) EXPECT_LT(sink.mean, 1) << "the first query is left out";
    const SiteFigures& read = study.facts.sites.at({Site::kOutputInput});
    EXPECT_EQ(read.abs_max_after_first, read.abs_max) << "the row that is read is no first token";
    for (size_t g = 0; g < options.grids.size(); ++g) {
      const GridFigures &ours = study.grids[g], &plain = studies[1].grids[g];
      EXPECT_GT(ours.together.mean, 0) << name;
      // A value half way between two codes may go either way, which 8 bits show least and 4 bits of few images most.
      EXPECT_NEAR(ours.together.mean / plain.together.mean, 1, 0.1) << name << " " << ours.grid.name();
      ASSERT_EQ(ours.alone.size(), 4u) << name;
      EXPECT_EQ(ours.growth.size(),
                static_cast<size_t>(model.config().stacks.empty() ? model.config().depth()
                                                                  : stack_of(model, tower).config().depth()));
      EXPECT_GT(ours.growth.back(), 0);
    }
    EXPECT_LT(study.grids[0].together.mean, study.grids[1].together.mean) << name;
    EXPECT_LT(study.grids[0].growth.back(), study.grids[1].growth.back()) << name;
    const auto json = activation_study_to_json(study);
    EXPECT_EQ(activation_study_to_json(activation_study_from_json(json, "a.json")).dump(), json.dump());
  }
}

TEST(ActivationStudies, RefuseWhatDoesNotFit) {
  const Model vit = load_model(vision_fixture("vit").string());
  const AnswerData images = golden_answer_data(vit, "vit");
  expect_error(ErrorKind::kInvalidArgument, {"sees no images", "llama"},
               [&] { study_activations(fixture_model("llama"), images, images, {}); });
  ActivationStudyOptions cached;
  cached.caches = {CacheFormat::parse("q8_0")};
  expect_error(ErrorKind::kInvalidArgument, {"no attention cache"},
               [&] { study_activations(vit, images, images, cached); });
  expect_error(ErrorKind::kUnsupported, {"language model"},
               [&] { activation_facts(vit, made_up_windows(2, 24, 320)); });
  const Model model = fixture_model("llama");
  EvaluateOptions options;
  options.sites = {nullptr, nullptr};
  expect_error(ErrorKind::kInvalidArgument, {"rounded sites", "got 2"},
               [&] { evaluate({&model}, &model, made_up_windows(2, 24, 320), options); });
}

}  // namespace
}  // namespace vernier
