// Folds leave a model's function as it is, and the default search is not worse than rounding on any part of the text.

#include "quantize/fold.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <utility>

#include "calibrate/gram_pass.h"
#include "quantize/corrected_bias.h"
#include "quantize/guard.h"
#include "support/models.h"
#include "vernier/planning.h"
#include "vernier/quantize.h"

namespace vernier {
namespace {

TEST(Fold, LeavesTheFunctionOfEveryFamily) {
  for (const std::string& name : fixture_names()) {
    const Model model = to_float32(fixture_model(name));
    if (!model.config().is_language_model()) continue;
    Model folded = model;
    size_t folds = 0;
    at::manual_seed(3);
    for (int layer = 0; layer < model.config().depth(); ++layer)
      for (const FoldSite& fold : fold_sites(model, layer)) {
        const int64_t channels = model.shape(fold.consumers.front())[1];
        apply_fold(folded, fold, shared_scales(fold, at::randn({channels}).exp()));
        ++folds;
      }
    EXPECT_GT(folds, 0u) << name;
    const TokenWindow window = made_up_windows(1, 24, 300).windows.front();
    const at::Tensor a = exact_log_p(model, window), b = exact_log_p(folded, window);
    EXPECT_LT((a - b).abs().max().item<double>(), 2e-4) << name;  // weights are folded in float32
  }
}

/// Error of every matrix at its outputs on each part of the text.
std::vector<double> errors_of(const Model& model, const Calibration& calibration, const QuantizedModel& quantized) {
  GramPass pass(model, calibration, 1);
  std::vector<double> errors;
  for (const TensorId& id : model.matrices()) {
    const auto site = model.blueprint().at(id).input;
    const InputGrams* grams = site ? pass.at(*site) : nullptr;
    if (grams == nullptr) continue;
    const at::Tensor error = quantized.values(id) - model.weight(id).to(at::kFloat);
    for (const at::Tensor& gram : grams->parts) errors.push_back(output_error(error, gram));
  }
  return errors;
}

TEST(ValueSearches, WithGramMatricesOutputsErrLessThanRounded) {
  const Model model = fixture_model("llama");
  const Calibration calibration = calibrate(model, made_up_windows(10, 32, 320));
  const auto total = [&](const std::string& method, const char* scheme) {
    Plan plan = plan_uniform(model, scheme);
    plan.method = method;
    const std::vector<double> errors = errors_of(model, calibration, quantize(model, calibration, plan, 2));
    double sum = 0;
    for (const double error : errors) sum += error;
    return sum;
  };
  for (const char* scheme : {"int3:g32:asym", "gguf:q4_0"}) {
    const double nearest = total("nearest", scheme);
    for (const char* method : {"gptq", "coordinate"}) EXPECT_LT(total(method, scheme), nearest) << method << scheme;
  }
}

TEST(ValueSearches, FoldedModelsAreWholeOnesWhoseValuesBelongTogether) {
  const Model model = to_float32(fixture_model("llama"));
  const EvaluationData text = made_up_windows(10, 32, 320);
  const Calibration calibration = calibrate(model, text);
  for (const char* method : {"awq", "smoothquant", "auto"}) {
    Plan plan = plan_uniform(model, "int8:channel");
    plan.method = method;
    const QuantizedModel q = quantize(model, calibration, plan, 2);
    const Model made = q.in_memory();
    const at::Tensor a = exact_log_p(model, text.windows[0]), b = exact_log_p(made, text.windows[0]);
    EXPECT_LT((a.exp() * (a - b)).sum(-1).mean().item<double>(), 2e-3) << method;
    // Norms asked for first, or last, or of a layer that has gone by are the same.
    const TensorId norm{TensorRole::kAttnNorm, 0};
    EXPECT_TRUE(at::equal(q.values(norm), made.weight(norm))) << method;
    if (std::string(method) == "smoothquant") {
      EXPECT_FALSE(at::equal(made.weight(norm), model.weight(norm)));
    }
  }
}

// Matrices, candidates and rows are searched side by side.
TEST(ValueSearches, BytesDependNeitherOnTheThreadsNorOnWhatIsAskedForFirst) {
  for (const auto& [name, scheme] :
       {std::pair{"llama", "int3:g32:asym"}, {"qwen2", "gguf:q4_0"}, {"mixtral", "gguf:q4_0"}}) {
    const Model model = fixture_model(name);
    const Calibration calibration = calibrate(model, made_up_windows(10, 32, 320));
    for (const char* method : {"gptq", "awq", "auto"}) {
      Plan plan = plan_uniform(model, scheme);
      plan.method = method;
      const Model made = quantize(model, calibration, plan, 1).in_memory();
      for (const int threads : {2, 5}) {
        const QuantizedModel q = quantize(model, calibration, plan, threads);
        const std::vector<TensorId> ids = model.tensors();
        for (auto id = ids.rbegin(); id != ids.rend(); ++id)
          EXPECT_TRUE(at::equal(q.values(*id), made.weight(*id))) << method << " " << name_of(*id) << " " << threads;
      }
    }
  }
}

TEST(CorrectedBias, TakesOffTheMeanErrorWhereEveryPartHasIt) {
  at::manual_seed(5);
  const at::Tensor error = at::randn({6, 16}), bias = at::randn({6}), mean = at::randn({16});
  InputGrams grams;
  at::Tensor means = at::zeros({16});
  for (int part = 0; part < 5; ++part) {
    const at::Tensor x = at::randn({200, 16}) * 0.1 + mean;
    grams.parts.push_back(at::mm(x.t(), x) / 200);
    grams.means.push_back(x.mean(0));
    means += grams.means.back() / 5;
  }
  EXPECT_TRUE(at::allclose(corrected_bias(bias, error, grams), bias - at::mv(error, means), 1e-5, 1e-6));
  grams.means[2] = -grams.means[2];
  EXPECT_TRUE(at::equal(corrected_bias(bias, error, grams), bias)) << "one part says the opposite";
}

TEST(CorrectedBias, TheDefaultSearchCorrectsThoseOfModelsThatHaveThem) {
  const Model model = fixture_model("qwen2");
  const Calibration calibration = calibrate(model, made_up_windows(40, 128, 40));
  Plan plan = plan_uniform(model, "int2:channel");
  plan.method = "auto";
  const QuantizedModel q = quantize(model, calibration, plan, 1);
  int changed = 0;
  for (const TensorId& id : model.tensors())
    if (id.role == TensorRole::kAttnQBias || id.role == TensorRole::kAttnKBias || id.role == TensorRole::kAttnVBias)
      changed += at::equal(q.values(id), model.weight(id).to(at::kFloat)) ? 0 : 1;
  EXPECT_GT(changed, 0);
  EXPECT_TRUE(at::equal(q.values({TensorRole::kAttnQBias, 1}), q.in_memory().weight({TensorRole::kAttnQBias, 1})));
}

}  // namespace
}  // namespace vernier
