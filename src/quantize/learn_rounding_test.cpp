// Learned rounding against finite differences, rounding to nearest and itself.

#include "quantize/learn_rounding.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "calibrate/gram_pass.h"
#include "quantize/search_source.h"
#include "scheme/grid.h"
#include "support/models.h"
#include "vernier/planning.h"
#include "vernier/quantize.h"
#include "vernier/quantize_tensor.h"

namespace vernier {
namespace {

AtenBlock block_in(const Model& model, int layer, at::ScalarType type) {
  return AtenModel(model, 64, {at::kCPU, type}).block(layer);
}

/// A layer of a tiny model in float64 whose matrices are rounded, and windows that enter it.
struct RoundedLayer {
  RoundedLayer(const Model& given, int layer, at::ScalarType type = at::kDouble)
      : model(given), net(model, 64, {at::kCPU, type}) {
    at::manual_seed(9);
    // Channels that have to do with each other: what one window says then holds for the next.
    const at::Tensor mixing = at::randn({8, model.config().hidden}, type);
    for (int w = 0; w < 8; ++w) {
      const at::Tensor own = at::randn({1, 20 + w, model.config().hidden}, type);
      entering.push_back(at::matmul(at::randn({1, 20 + w, 8}, type), mixing) + 0.3 * own);
    }
    wanted = leaving_streams(net, net.block(layer), entering, 1);
    const at::Tensor x = at::randn({200, model.config().hidden}, type);
    problem.emplace(
        LayerProblem{net, model.blueprint(), layer, entering, wanted, layer_metric(at::mm(x.t(), x) / 200), 2});
  }
  std::map<TensorId, at::Tensor> rounded(const char* scheme) const {
    std::map<TensorId, at::Tensor> values;
    for (const TensorId& id : model.matrices())
      if (id.layer == problem->layer)
        values[id] = quantize_values(Scheme::parse(scheme), model.weight(id), {}, 1, "").to(wanted[0].scalar_type());
    return values;
  }

  Model model;
  AtenModel net;
  std::vector<at::Tensor> entering, wanted;
  std::optional<LayerProblem> problem;
};

/// By the definition, token by token.
double error_by_hand(const RoundedLayer& layer, const AtenBlock& block, const std::vector<size_t>& windows) {
  const std::vector<at::Tensor> got = leaving_streams(layer.net, block, layer.entering, 1);
  double sum = 0, tokens = 0;
  for (const size_t w : windows)
    for (int64_t t = 0; t < got[w].size(1); ++t, ++tokens) {
      const at::Tensor y = layer.wanted[w][0][t], e = got[w][0][t] - y;
      sum += (at::dot(e, at::mv(layer.problem->metric, e)) / at::dot(y, y)).item<double>();
    }
  return sum / tokens;
}

class LayerGradients : public ::testing::TestWithParam<std::pair<const char*, int>> {};

// What is straight through the rounding has the gradient by what is seen: that of a smooth function.
TEST_P(LayerGradients, AreThoseOfFiniteDifferences) {
  const RoundedLayer layer(fixture_model(GetParam().first), GetParam().second);
  const std::vector<size_t> windows{0, 2, 3};
  const auto values = layer.rounded("int4:g32:asym");
  const AtenBlock block = block_with(layer.net.block(layer.problem->layer), values);
  EXPECT_NEAR(layer_error(*layer.problem, block, windows) / error_by_hand(layer, block, windows), 1, 1e-9);
  const auto gradients = weight_gradients(*layer.problem, block, windows);
  EXPECT_EQ(gradients.size(), values.size());
  double tokens = 0;
  for (const size_t w : windows) tokens += static_cast<double>(layer.entering[w].size(1));
  constexpr double kStep = 1e-5;
  for (const auto& [id, gradient] : gradients) {
    if (id.role == TensorRole::kRouter) continue;  // which experts a token gets is not smooth
    const at::Tensor direction = gradient / gradient.norm();
    const auto error = [&](double step) {
      return layer_error(*layer.problem, block_with(block, {{id, values.at(id) + step * direction}}), windows);
    };
    const double expected = (error(kStep) - error(-kStep)) / (2 * kStep) * tokens / 2;
    EXPECT_NEAR(gradient.norm().item<double>() / expected, 1, 1e-5) << name_of(id);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, LayerGradients,
                         ::testing::Values(std::pair{"llama", 0}, std::pair{"llama", 2}, std::pair{"gpt2", 1},
                                           std::pair{"mixtral", 1}),
                         [](const auto& info) {
                           return std::string(info.param.first) + "_" + std::to_string(info.param.second);
                         });

class LearnedRounding : public ::testing::TestWithParam<const char*> {
 protected:
  static std::vector<LearnedMatrix> matrices_of(const RoundedLayer& layer, const Scheme& scheme) {
    std::vector<LearnedMatrix> matrices;
    for (const TensorId& id : layer.model.matrices()) {
      if (id.layer != layer.problem->layer) continue;
      const at::Tensor weight = layer.model.weight(id).to(at::kFloat);
      const std::vector<std::byte> bytes = quantize_bytes(scheme, weight, {}, 1, name_of(id));
      matrices.push_back({id, weight, StoredMatrix(scheme, {weight.size(0), weight.size(1)}, bytes), {}});
    }
    return matrices;
  }
  static double error_of(const RoundedLayer& layer, const std::vector<LearnedMatrix>& matrices,
                         const std::vector<StoredMatrix>& stored, const std::vector<size_t>& windows) {
    std::map<TensorId, at::Tensor> values;
    for (size_t i = 0; i < matrices.size(); ++i) values[matrices[i].id] = stored[i].values();
    return layer_error(*layer.problem, block_with(layer.net.block(layer.problem->layer), values), windows);
  }
};

TEST_P(LearnedRounding, IsBetterThanRoundingOnOtherWindowsAndNeverWorseAndItsCodesAreOnTheGrid) {
  const Scheme scheme = Scheme::parse(GetParam());
  const RoundedLayer layer(fixture_model("llama"), 1, at::kFloat);
  const std::vector<LearnedMatrix> matrices = matrices_of(layer, scheme);
  std::vector<StoredMatrix> start;
  for (const LearnedMatrix& matrix : matrices) start.push_back(matrix.start);
  const AtenBlock block = layer.net.block(1);
  const LearningText text{{0, 1, 2, 3, 4, 5}, {6, 7}};
  const LearningSchedule schedule{.steps = 30, .windows = 3};
  const std::vector<StoredMatrix> learned = learn_rounding(*layer.problem, block, matrices, text, schedule);
  EXPECT_LT(error_of(layer, matrices, learned, text.judged_on), error_of(layer, matrices, start, text.judged_on));
  const std::vector<StoredMatrix> short_of_steps =
      learn_rounding(*layer.problem, block, matrices, text, {.steps = 1, .windows = 1});
  EXPECT_LE(error_of(layer, matrices, short_of_steps, text.judged_on),
            error_of(layer, matrices, start, text.judged_on));
  for (size_t i = 0; i < matrices.size(); ++i) {
    const auto grid = grid_of(scheme, learned[i].rows(), learned[i].cols());
    const at::Tensor bytes = learned[i].bytes();
    std::vector<std::byte> packed(static_cast<size_t>(bytes.numel()));
    std::memcpy(packed.data(), bytes.data_ptr(), packed.size());
    std::vector<Code> codes(static_cast<size_t>(grid->cols));
    for (int64_t row = 0; row < grid->rows; ++row) {
      grid->unpack_row(row, packed.data(), codes.data());
      grid->pack_row(row, codes.data(), packed.data());
    }
    EXPECT_EQ(std::memcmp(packed.data(), bytes.data_ptr(), packed.size()), 0) << name_of(matrices[i].id);
  }
}

TEST_P(LearnedRounding, SameSeedSameBytesWhateverTheThreads) {
  const Scheme scheme = Scheme::parse(GetParam());
  const RoundedLayer layer(fixture_model("llama"), 1, at::kFloat);
  const std::vector<LearnedMatrix> matrices = matrices_of(layer, scheme);
  const auto learn = [&](int threads, uint64_t seed) {
    LayerProblem problem = *layer.problem;
    problem.threads = threads;
    std::vector<std::string> bytes;
    for (const StoredMatrix& stored :
         learn_rounding(problem, layer.net.block(1), matrices, {{0, 1, 2, 3, 4, 5}, {6, 7}},
                        {.steps = 20, .windows = 2, .seed = seed})) {
      const at::Tensor own = stored.bytes();
      bytes.emplace_back(static_cast<const char*>(own.data_ptr()), static_cast<size_t>(own.numel()));
    }
    return bytes;
  };
  const auto once = learn(1, 5);
  EXPECT_EQ(learn(3, 5), once);
  EXPECT_NE(learn(1, 6), once) << "other windows at every step";
}

INSTANTIATE_TEST_SUITE_P(Schemes, LearnedRounding,
                         ::testing::Values("int3:g32:asym", "int3:g32:sym", "int3:channel", "int4:tensor", "gguf:q4_0",
                                           "gguf:iq4_nl"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::ranges::replace(name, ':', '_');
                           return name;
                         });

TEST(LearnedLayers, KQuantsAndCodebooksAreStoredAsTheyWereLearnedWhicheverLayerIsAskedForFirst) {
  const Model model = load_model((source_dir() / "models/demo-5m").string());
  const Calibration calibration = calibrate(model, made_up_windows(8, 24, model.config().vocabulary));
  for (const char* name : {"gguf:q2_k", "gguf:iq2_xs"}) {
    std::map<TensorId, Scheme> schemes = schemes_of(plan_uniform(model, "f32"), model);
    const TensorId first{TensorRole::kAttnK, 0}, second{TensorRole::kAttnV, 1};
    for (const TensorId& id : {first, second}) schemes.insert_or_assign(id, Scheme::parse(name));
    ValueSearch search = find_value_search("learned");
    search.run = find_value_search("importance").run;
    search.folding = ValueSearch::Folding::kNone;
    search.learns = LearningSchedule{.steps = 4, .windows = 2};
    SearchSource source(model, calibration, search, schemes, 2);
    const std::vector<std::byte> of_second = source.search(second), of_first = source.search(first);
    SearchSource again(model, calibration, search, schemes, 1);
    EXPECT_EQ(again.search(first), of_first) << name;
    EXPECT_EQ(again.search(second), of_second) << name;
    const std::vector<int64_t> shape = model.shape(first);
    EXPECT_EQ(of_first.size(), schemes.at(first).bytes(shape[0], shape[1])) << name;
  }
}

TEST(LearnedLayers, ALayerOfAPlanIsNotWorseThanRoundedToNearestOnTextThatItDidNotLearn) {
  const Model model = fixture_model("llama");
  const EvaluationData text = made_up_windows(10, 32, 320);
  const Calibration calibration = calibrate(model, text);
  const std::map<TensorId, Scheme> schemes = schemes_of(plan_uniform(model, "int3:g32:asym"), model);
  ValueSearch search = find_value_search("learned");
  search.learns = LearningSchedule{.steps = 10, .windows = 2};
  SearchSource source(model, calibration, search, schemes, 2);
  Model made = model, nearest = model;
  for (const TensorId& id : model.tensors()) {
    if (id.layer != 0) continue;
    if (is_matrix(id.role)) {
      made.set_stored(id, {schemes.at(id), {model.shape(id)[0], model.shape(id)[1]}, source.search(id)});
      nearest.set_weight(id, quantize_values(schemes.at(id), model.weight(id), {}, 1, ""));
    } else {
      made.set_weight(id, source.weight(id));
    }
  }
  // The first layer holds back the first part, and what enters it is the searched embedding's.
  const at::Tensor embedding = StoredMatrix(schemes.at({TensorRole::kTokenEmbedding, -1}), {320, 64},
                                            source.search({TensorRole::kTokenEmbedding, -1}))
                                   .values();
  const AtenModel net(model, 32, {at::kCPU, at::kFloat});
  std::vector<at::Tensor> exact, entering;
  std::vector<size_t> judged_on;
  const std::vector<size_t> parts = parts_of(calibration.text);
  for (size_t w = 0; w < calibration.text.size(); ++w) {
    const std::vector<int32_t>& tokens = calibration.text[w].tokens;
    const at::Tensor ids = at::tensor(std::vector<int64_t>(tokens.begin(), tokens.end()), at::kLong).unsqueeze(0);
    exact.push_back(net.embed(ids));
    entering.push_back(net.embed_from(embedding, ids));
    if (parts[w] == 0) judged_on.push_back(w);
  }
  ASSERT_LT(judged_on.size(), parts.size());
  const std::vector<at::Tensor> wanted = leaving_streams(net, net.block(0), exact, 1);
  GradientPass gradients(model, calibration.text, parts, 1);
  const InputGrams leaving = gradients.leaving(0);
  std::vector<size_t> all(leaving.parts.size());
  for (size_t part = 0; part < all.size(); ++part) all[part] = part;
  const LayerProblem problem{net, model.blueprint(), 0, entering, wanted, layer_metric(mean_gram(leaving, all)), 1};
  EXPECT_LT(layer_error(problem, block_in(made, 0, at::kFloat), judged_on),
            layer_error(problem, block_in(nearest, 0, at::kFloat), judged_on));
}

}  // namespace
}  // namespace vernier
