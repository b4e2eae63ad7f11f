#include "vernier/curvature.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/json.h"
#include "curvature/loss_surface.h"
#include "engine/aten_answers.h"
#include "support/expect_error.h"
#include "support/models.h"
#include "support/vision_models.h"

namespace vernier {
namespace {

const TensorId kDown{TensorRole::kFfnDown, 0}, kUp{TensorRole::kFfnUp, 1};

/// Example i bends one matrix by bend[i] and another by -1: sum of bend |down|^2 / 2 - |up|^2 / 2, of weight i + 1.
LossOfExamples quadratic(std::vector<double> bend) {
  LossOfExamples loss{.name = "quadratic", .count = static_cast<int64_t>(bend.size()), .at_once = 2};
  for (size_t i = 0; i < bend.size(); ++i) loss.weights.push_back(static_cast<double>(i + 1));
  loss.sum = [bend, weights = loss.weights](const Model& model, std::span<const int64_t> examples) {
    const at::Tensor down = model.weight(kDown).square().sum() / 2, up = model.weight(kUp).square().sum() / 2;
    at::Tensor sum = at::zeros({}, down.options());
    for (const int64_t example : examples) {
      const auto i = static_cast<size_t>(example);
      sum = sum + weights[i] * (bend[i] * down - up);
    }
    return sum;
  };
  return loss;
}

double square_of(const Model& model, const TensorId& id) {
  return model.weight(id).to(at::kDouble).square().sum().item<double>();
}

/// The fixture's images and labels as one batch that is taken in parts.
LossOfExamples golden_images(const std::string& name) {
  const SafetensorsFile golden(vision_fixture(name) / "golden.safetensors");
  const at::Tensor pixels = tensor_in(golden, "pixel_values"), labels = tensor_in(golden, "labels");
  LossOfExamples loss{.name = name, .count = pixels.size(0), .at_once = 3};
  loss.sum = [pixels, labels](const Model& model, std::span<const int64_t> examples) {
    const at::Tensor some = at::tensor(std::vector<int64_t>(examples.begin(), examples.end()), at::kLong);
    const at::ScalarType type = model.weight(model.output_matrix()).scalar_type();
    const at::Tensor logits = classify(model, pixels.index_select(0, some).to(type));
    return -logits.log_softmax(-1).gather(-1, labels.index_select(0, some).unsqueeze(-1)).sum();
  };
  return loss;
}

/// Rows of the fixture's ids, every token of which is scored but the first.
EvaluationData golden_windows(const std::string& name) {
  const SafetensorsFile golden(source_dir() / "tests/fixtures/models" / name / "golden.safetensors");
  const at::Tensor ids = tensor_in(golden, "input_ids");
  EvaluationData data;
  for (int64_t row = 0; row < ids.size(0); ++row) {
    TokenWindow& window = data.windows.emplace_back();
    window.cluster = row;
    data.clusters.push_back({.group = "all"});
    for (int64_t t = 0; t < ids.size(1); ++t)
      window.tokens.push_back(static_cast<int32_t>(ids[row][t].item<int64_t>()));
  }
  return data;
}

ExamplesByGroup everything(const LossOfExamples& loss) {
  ExamplesByGroup groups;
  for (int64_t i = 0; i < loss.count; ++i) groups["all"].push_back(i);
  return groups;
}

TEST(Curvature, OfAQuadraticIsKnown) {
  const Model model = fixture_model("llama");
  const LossOfExamples loss = quadratic({2, 5, 11});
  const ExamplesByGroup groups{{"a", {0, 2}}, {"b", {1}}};
  Model moved = to_float32(model);
  moved.set_weight(kDown, moved.weight(kDown) * 1.5);
  const auto found = group_curvature(model, &moved, loss, groups);
  ASSERT_EQ(found.size(), 2u);
  for (const auto& [g, bend] : {std::pair(0, (2 * 1 + 11 * 3) / 4.0), std::pair(1, 5.0)}) {
    const GroupCurvature& group = found[static_cast<size_t>(g)];
    const double down = square_of(model, kDown), up = square_of(model, kUp);
    EXPECT_NEAR(group.loss / (bend * down / 2 - up / 2), 1, 1e-5);
    EXPECT_NEAR(group.gradient_norm / std::sqrt(bend * bend * down + up), 1, 1e-5);
    EXPECT_NEAR(group.gradient_norms.at(kDown) / (bend * std::sqrt(down)), 1, 1e-5);
    EXPECT_EQ(group.gradient_norms.at({TensorRole::kFfnDown, 1}), 0);
    EXPECT_NEAR(group.top_eigenvalue / bend, 1, 2e-3);
    EXPECT_TRUE(group.converged);
    const double trace =
        bend * static_cast<double>(model.weight(kDown).numel()) - static_cast<double>(model.weight(kUp).numel());
    EXPECT_NEAR(group.trace.mean / trace, 1, 1e-5);  // signs measure a diagonal exactly
    EXPECT_LT(group.trace.standard_error, 1e-3 * std::abs(trace));
    EXPECT_NEAR(group.expansion->first / (bend * down * 0.5), 1, 1e-4);
    EXPECT_NEAR(group.expansion->second / (bend * down * 0.125), 1, 1e-4);
    EXPECT_NEAR(group.expansion->real / group.expansion->foretold(), 1, 1e-3);
  }
}

/// Along a random direction in float64: differences of losses for the gradient, of gradients for the Hessian.
void expect_finite_differences(const Model& model, const LossOfExamples& loss, CurvatureOf of) {
  const CurvatureOptions options{.of = of, .float64 = true};
  std::vector<int64_t> examples = everything(loss).at("all");
  LossSurface surface(model, loss, options);
  surface.set_examples(examples);
  std::mt19937_64 random(5);
  const WeightVector direction = surface.random_normal(random), other = surface.random_normal(random);
  constexpr double kStep = 1e-6;
  const auto at_step = [&](double step) {
    Model moved(model.config(), model.source());
    for (const TensorId& id : model.tensors()) moved.set_weight(id, model.weight(id).to(at::kDouble));
    for (size_t i = 0; i < direction.size(); ++i) {
      const TensorId& id = surface.parameters()[i];
      moved.set_weight(id, moved.weight(id) + step * direction[i]);
    }
    LossSurface there(moved, loss, options);
    there.set_examples(examples);
    return there.slope();
  };
  const LossSurface::Slope here = surface.slope(), ahead = at_step(kStep), behind = at_step(-kStep);
  EXPECT_NEAR((ahead.loss - behind.loss) / (2 * kStep) / dot(here.gradient, direction), 1, 1e-5);
  const double product = dot(other, surface.hessian_times(direction));
  EXPECT_NEAR((dot(other, ahead.gradient) - dot(other, behind.gradient)) / (2 * kStep) / product, 1, 1e-4);
  // A Hessian is symmetric.
  EXPECT_NEAR(dot(direction, surface.hessian_times(other)) / product, 1, 1e-9);
}

TEST(Curvature, EqualsFiniteDifferences) {
  expect_finite_differences(load_model(vision_fixture("vit").string()), golden_images("vit"),
                            CurvatureOf::kAllParameters);
  const EvaluationData data = golden_windows("llama");
  expect_finite_differences(fixture_model("llama"), loss_of_windows(data), CurvatureOf::kMatrices);
}

class CurvatureParity : public ::testing::TestWithParam<std::string> {};

TEST_P(CurvatureParity, EqualsPyTorch) {
  const bool sees = GetParam() == "vit";
  const Json golden = read_json(source_dir() / "tests/fixtures/curvature/golden.json")[GetParam()];
  const Model model = sees ? load_model(vision_fixture("vit").string()) : fixture_model("llama");
  const EvaluationData data = sees ? EvaluationData() : golden_windows("llama");
  const LossOfExamples loss = sees ? golden_images("vit") : loss_of_windows(data);
  for (const auto& [key, of] :
       {std::pair("matrices", CurvatureOf::kMatrices), std::pair("all", CurvatureOf::kAllParameters)}) {
    Model twice = to_float32(model);  // away by the weights themselves
    for (const TensorId& id : parameters_of(model, of)) twice.set_weight(id, twice.weight(id) * 2);
    const GroupCurvature found = group_curvature(
        model, &twice, loss, everything(loss),
        {.of = of, .max_iterations = 2000, .eigen_tolerance = 1e-7, .min_probes = 20, .max_probes = 20})[0];
    const auto expected = [&](const char* name) { return golden.at(key).at(name).template get<double>(); };
    EXPECT_NEAR(found.loss / expected("loss"), 1, 1e-5);
    EXPECT_NEAR(found.gradient_norm / expected("gradient_norm"), 1, 1e-4);
    EXPECT_NEAR(found.top_eigenvalue / expected("top_eigenvalue"), 1, 1e-3);
    EXPECT_NEAR(found.expansion->first / expected("first"), 1, 1e-3);
    EXPECT_NEAR(found.expansion->second / expected("second"), 1, 1e-3);
    EXPECT_NEAR(found.trace.mean, expected("trace"),
                4 * std::hypot(found.trace.standard_error, expected("trace_stderr")));
  }
}

INSTANTIATE_TEST_SUITE_P(Models, CurvatureParity, ::testing::Values("vit", "llama"));

TEST(Curvature, PartsAndSeedsAreRepeatable) {
  const Model model = fixture_model("qwen3");
  const EvaluationData data = made_up_windows(4, 16, 320);
  LossOfExamples loss = loss_of_windows(data);
  const auto norm_of = [&] {
    return group_curvature(model, nullptr, loss, everything(loss), {.max_iterations = 2, .max_probes = 3})[0];
  };
  const GroupCurvature first = norm_of();
  EXPECT_EQ(norm_of().trace.mean, first.trace.mean);
  loss.at_once = 4;
  const GroupCurvature whole = norm_of();
  EXPECT_NEAR(whole.gradient_norm / first.gradient_norm, 1, 1e-5);
  EXPECT_NEAR(whole.trace.mean / first.trace.mean, 1, 1e-2);
}

TEST(Curvature, ActivationsMoveWhereTheModelDid) {
  const Model model = fixture_model("llama");
  const EvaluationData data = made_up_windows(4, 16, 320);
  const LossOfExamples loss = loss_of_windows(data);
  Model moved = to_float32(model);
  moved.set_weight(kDown, moved.weight(kDown) * 0.5);
  const auto changes = activation_change(model, moved, loss, everything(loss));
  const ActivationChange& change = changes.at(0);
  EXPECT_EQ(change.sites.at({Site::kFfnDownInput, 0}), 0);
  EXPECT_GT(change.sites.at({Site::kAttnInput, 1}), 0);
  EXPECT_EQ(change.read_out, change.sites.at({Site::kOutputInput}));
  EXPECT_GT(change.read_out, 0);
  double sum = 0;
  for (const auto& [site, value] : change.sites) sum += value;
  EXPECT_NEAR(change.mean, sum / static_cast<double>(change.sites.size()), 1e-12);
  EXPECT_EQ(activation_change(model, model, loss, everything(loss))[0].mean, 0);
}

TEST(Curvature, FillsTheChain) {
  const Model model = load_model(vision_fixture("vit").string());
  Model moved = to_float32(model);
  for (const TensorId& id : moved.matrices()) moved.set_weight(id, at::round(moved.weight(id) * 16) / 16);
  const SafetensorsFile golden(vision_fixture("vit") / "golden.safetensors");
  const at::Tensor pixels = tensor_in(golden, "pixel_values"), labels = tensor_in(golden, "labels").to(at::kInt);
  LossOfExamples loss = golden_images("vit");
  loss.observe = [pixels](const Model& own, std::span<const int64_t>, const auto& visit) {
    visit(SiteId{Site::kOutputInput}, classify(own, pixels));
  };
  GroupedExamples examples{.name = "golden", .count = 4, .classes = 10};
  examples.labels.assign(labels.data_ptr<int32_t>(), labels.data_ptr<int32_t>() + 4);
  examples.attributes = {{"half", {"a", "a", "b", "b"}}};
  const auto answers = [&](const Model& own) {
    const c10::NoGradGuard off;
    const at::Tensor logits = classify(own, pixels).contiguous();
    return answers_of_logits("vit", {logits.data_ptr<float>(), static_cast<size_t>(logits.numel())}, 10,
                             examples.labels);
  };
  const Answers before = answers(model), after = answers(moved);
  const GroupAnalysis analysis = analyse_groups(examples, before, after, {.min_clusters = 2});
  // chain_records leaves groups below 5 clusters out: these are made to count.
  AttributeResult attribute = analysis.attributes[0];
  for (GroupResult& group : attribute.groups) group.clusters = 5;
  int asked = 0;
  LossOfExamples counted = loss;
  counted.sum = [&, sum = loss.sum](const Model& own, std::span<const int64_t> some) {
    ++asked;
    return sum(own, some);
  };
  MeasuredCauses causes(model, counted, {.max_iterations = 3, .max_probes = 0});
  std::vector<ChainRecord> records = chain_records(attribute);
  causes.complete(moved, "half", examples_by_group(examples, "half"), records);
  ASSERT_EQ(records.size(), 2u);
  ASSERT_EQ(causes.of_reference().at("half").size(), 2u);
  for (const ChainRecord& record : records) {
    EXPECT_GT(record.gradient_norm, 0);
    EXPECT_GT(record.activation_change, 0);
    for (const double value :
         {record.top_eigenvalue, record.foretold_loss_change, record.logit_variance_change, record.loss_change})
      EXPECT_TRUE(std::isfinite(value));
  }
  // Another unit of the same examples: nothing is measured again.
  const int before_second = asked;
  std::vector<ChainRecord> again = chain_records(attribute);
  causes.complete(moved, "half", examples_by_group(examples, "half"), again);
  EXPECT_EQ(asked, before_second);
  EXPECT_GT(asked, 0);
  EXPECT_EQ(again[1].gradient_norm, records[1].gradient_norm);
  EXPECT_EQ(again[1].activation_change, records[1].activation_change);
  EXPECT_FALSE(chain_report_to_json(chain_test(records), records).empty());
}

TEST(Curvature, WhatCannotBeMeasuredIsRefused) {
  const Model model = fixture_model("llama");
  const LossOfExamples loss = quadratic({1, 2});
  expect_error(ErrorKind::kInvalidArgument, {"group none", "no examples"}, [&] {
    group_curvature(model, nullptr, loss, {{"none", {}}});
  });
  expect_error(ErrorKind::kInvalidArgument, {"group far", "example 2", "0 to 1"}, [&] {
    group_curvature(model, nullptr, loss, {{"far", {2}}});
  });
  const Model other = load_model(vision_fixture("vit").string());
  expect_error(ErrorKind::kInvalidArgument, {"shape"}, [&] { group_curvature(model, &other, loss, {{"all", {0}}}); });
  expect_error(ErrorKind::kInvalidArgument, {"no attribute sex", "class"}, [&] {
    examples_by_group(GroupedExamples{.attributes = {{"class", {}}}}, "sex");
  });
}

}  // namespace
}  // namespace vernier
