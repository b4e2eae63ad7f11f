// Moments of gradients against the damage that they foretell.

#include "screen/gradient_pass.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <functional>

#include "calibrate/gram_pass.h"
#include "support/models.h"
#include "vernier/evaluate.h"

namespace vernier {
namespace {

std::vector<CalibrationWindow> windows_of_tokens(const EvaluationData& data) {
  std::vector<CalibrationWindow> text;
  for (const TokenWindow& window : data.windows) text.push_back({window.tokens, 0});
  return text;
}

/// Of parts that count alike.
double mean_over(const InputGrams& grams, const std::function<double(const at::Tensor&)>& of) {
  double sum = 0, parts = 0;
  for (const at::Tensor& gram : grams.parts) {
    if (!gram.defined()) continue;
    sum += of(gram);
    ++parts;
  }
  return sum / parts;
}

class GradientMoments : public ::testing::TestWithParam<const char*> {
 protected:
  Model model_ = fixture_model(GetParam());
  EvaluationData data_ = scored(made_up_windows(24, 48, model_.config().vocabulary));
  std::vector<CalibrationWindow> text_ = windows_of_tokens(data_);
  GradientPass pass_{model_, text_, parts_of(text_), 2};

  static EvaluationData scored(EvaluationData data) {
    for (TokenWindow& window : data.windows) window.first_row = 0;
    return data;
  }
  double measured(const TensorId& id, const at::Tensor& error) const {
    Model changed = model_;
    changed.set_weight(id, model_.weight(id).to(at::kFloat) + error);
    return evaluate({&changed}, &model_, data_)[0].all.kl().mean;
  }
};

// A small random error in every row of a matrix by the vocabulary: each row costs by how often it is the token.
TEST_P(GradientMoments, ForetellWhatErrorsInTheVocabularyCost) {
  const auto predicted = [&](const InputGrams& of, const at::Tensor& error) {
    return mean_over(of, [&](const at::Tensor& gram) {
      return (at::mm(error, gram) * error).sum().item<double>() / static_cast<double>(error.size(0)) / 2;
    });
  };
  const TensorId embedding{TensorRole::kTokenEmbedding, -1}, output = model_.output_matrix();
  at::manual_seed(3);
  const at::Tensor error = at::randn(model_.shape(embedding)) * 1e-3;
  if (output == embedding) {
    EXPECT_NEAR(predicted(pass_.tied(), error) / measured(embedding, error), 1, 0.25);
    return;
  }
  EXPECT_NEAR(predicted(pass_.look_up(), error) / measured(embedding, error), 1, 0.25);
  EXPECT_NEAR(predicted(pass_.output(), error) / measured(output, error), 1, 0.25);
}

// A matrix by its output gradients and its inputs, taken as independent, and positions too: what attention mixes would be
// foretold too small where its errors agree from position to position.
TEST_P(GradientMoments, ForetellWhatErrorsInALayerCost) {
  Calibration calibration;
  calibration.text = text_;
  GramPass inputs(model_, calibration, 2);
  const int layer = model_.config().depth() - 1;
  const TensorId id{TensorRole::kFfnDown, layer};
  at::manual_seed(5);
  const at::Tensor error = at::randn(model_.shape(id)) * 1e-3;
  const InputGrams* of_inputs = inputs.at(*model_.blueprint().at(id).input);
  const std::vector<size_t> all = {0, 1, 2, 3, 4};
  const at::Tensor h = mean_gram(*of_inputs, all), g = mean_gram(pass_.at(layer).at(id), all);
  const double predicted = (at::mm(at::mm(g, error), h) * error).sum().item<double>() / 2;
  EXPECT_NEAR(predicted / measured(id, error), 1, 0.25);
}

INSTANTIATE_TEST_SUITE_P(Models, GradientMoments, ::testing::Values("llama", "gpt2"));

TEST(GradientPass, DoesNotDependOnThreadsNorOnTheOrderOfLayers) {
  const Model model = fixture_model("llama");
  const std::vector<CalibrationWindow> text = windows_of_tokens(made_up_windows(4, 16, model.config().vocabulary));
  GradientPass one(model, text, parts_of(text), 1), three(model, text, parts_of(text), 3);
  const TensorId id{TensorRole::kAttnQ, 0};
  three.at(1);
  const InputGrams first = one.at(0).at(id), same = three.at(0).at(id);
  for (size_t part = 0; part < first.parts.size(); ++part) {
    EXPECT_TRUE(at::equal(one.output().parts[part], three.output().parts[part]));
    EXPECT_TRUE(at::equal(one.look_up().parts[part], three.look_up().parts[part]));
    EXPECT_TRUE(at::equal(first.parts[part], same.parts[part]));
  }
}

}  // namespace
}  // namespace vernier
