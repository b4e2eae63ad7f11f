// The isolated sweep of models that see against full forwards of models with just that slice replaced.

#include "engine/vision_sweep.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

#include "engine/aten_answers.h"
#include "support/expect_error.h"
#include "support/vision_models.h"
#include "vernier/quantize_tensor.h"

namespace vernier {
namespace {

const Scheme kCoarse = Scheme::parse("int3:channel:sym");  // damage far above rounding

/// W' = W + M (Q(W) - W) on whole tensors, by rows and columns that are written down here.
Model with_component_replaced(const Model& model, const Component& c) {
  Model copy(model.config(), model.source());
  const ModelConfig& stack = *model.config().find_stack(c.stack);
  for (const TensorId& id : model.tensors()) {
    const at::Tensor w = model.weight(id).to(at::kFloat).clone();
    copy.set_weight(id, w);
    if (!is_matrix(id.role) || id.stack != c.stack) continue;
    const at::Tensor q = quantize_values(kCoarse, w, {}, 1, name_of(id));
    const int64_t d = c.layer >= 0 ? stack.layer(c.layer).attention.head_dim : 0;
    const bool here = id.layer == c.layer && id.layer >= 0;
    using Role = TensorRole;
    switch (c.kind) {
      case ComponentKind::kHead:
        if (here && id.role == Role::kAttnQ) w.narrow(0, c.index * d, d).copy_(q.narrow(0, c.index * d, d));
        if (here && id.role == Role::kAttnOutput) w.narrow(1, c.index * d, d).copy_(q.narrow(1, c.index * d, d));
        break;
      case ComponentKind::kKvHead:
        if (here && (id.role == Role::kAttnK || id.role == Role::kAttnV))
          w.narrow(0, c.index * d, d).copy_(q.narrow(0, c.index * d, d));
        break;
      case ComponentKind::kFfn:
        if (here && (id.role == Role::kFfnUp || id.role == Role::kFfnDown)) w.copy_(q);
        break;
      case ComponentKind::kLayer:
        if (here) w.copy_(q);
        break;
      case ComponentKind::kEmbed:
        if (id.role == Role::kTokenEmbedding) w.copy_(q);
        break;
      case ComponentKind::kTensor:
        if (id.role == c.role && id.layer == c.layer) w.copy_(q);
        break;
      default: ADD_FAILURE() << name_of(c);
    }
  }
  return copy;
}

class VisionSweepTest : public ::testing::TestWithParam<std::tuple<std::string, std::string>> {
 protected:
  /// [images, classes] of the differentiable forward; prompts are one per class, so that their unit vectors are the classes.
  at::Tensor logits_of(const Model& model) const {
    const SafetensorsFile golden(vision_fixture(std::get<0>(GetParam())) / "golden.safetensors");
    const at::Tensor pixels = tensor_in(golden, "pixel_values");
    if (model.config().stacks.empty()) return classify(model, pixels).to(at::kDouble);
    return compare_images_with_texts(model, pixels, tensor_in(golden, "input_ids")).logits_per_image.to(at::kDouble);
  }

  std::unique_ptr<Engine> engine() const {
    ComputeOptions options;
    options.device = std::get<1>(GetParam());
    options.threads = 2;
    return make_engine(options);
  }

  Model model_ = load_model(vision_fixture(std::get<0>(GetParam())).string());
  AnswerData data_ = golden_answer_data(model_, std::get<0>(GetParam()));

  void expect_damage(const std::vector<DamageSums>& found, const at::Tensor& changed, const std::string& of) const {
    const at::Tensor log_p = logits_of(model_).log_softmax(-1), log_q = changed.log_softmax(-1);
    ASSERT_EQ(found.size(), data_.labels.size());
    for (size_t i = 0; i < found.size(); ++i) {
      const auto at = static_cast<int64_t>(i);
      const double kl = (log_p[at].exp() * (log_p[at] - log_q[at])).sum().item<double>();
      const double delta = (log_p[at] - log_q[at])[data_.labels[i]].item<double>();
      EXPECT_EQ(found[i].tokens, 1);
      EXPECT_NEAR(found[i].kl, kl, 1e-3 * kl + 1e-8) << of << " of image " << i;
      EXPECT_NEAR(found[i].delta_nll, delta, 2e-3 * std::abs(delta) + 2e-5) << of << " of image " << i;
      EXPECT_EQ(found[i].same_top, log_p[at].argmax().item<int64_t>() == log_q[at].argmax().item<int64_t>()) << of;
    }
  }
};

TEST_P(VisionSweepTest, EqualsAFullForwardWithTheSliceReplacedAndNothingChangesNothing) {
  const std::unique_ptr<Engine> own = engine();
  VisionSweep sweep(*own, model_, data_, ComputeType::kFloat32);
  const WeightSource coarse = [&](const TensorId& id) {
    return quantize_values(kCoarse, model_.weight(id), {}, 1, name_of(id));
  };
  const WeightSource same = [&](const TensorId& id) { return model_.weight(id); };
  std::map<std::pair<Stack, int>, std::vector<Component>> layers;
  std::set<std::pair<ComponentKind, TensorRole>> kinds;
  for (const Component& c : components_of(model_.config(), all_component_kinds())) {
    kinds.emplace(c.kind, c.role);
    if (c.layer >= 0) {
      layers[{c.stack, c.layer}].push_back(c);
      continue;
    }
    expect_damage(sweep.outside({c, coarse}), logits_of(with_component_replaced(model_, c)), name_of(c));
    for (const DamageSums& image : sweep.outside({c, same})) EXPECT_EQ(image.kl, 0) << name_of(c);
  }
  EXPECT_GT(kinds.size(), 9u) << "heads, KV heads, feed-forwards, layers, six matrices and what is outside of layers";
  for (const auto& [place, components] : layers) {
    std::vector<Perturbation> perturbations;
    for (const Component& c : components) perturbations.push_back({c, coarse});
    for (const Component& c : components) perturbations.push_back({c, same});
    std::atomic<int64_t> windows = 0;
    const auto damage = sweep.layer(place.first, place.second, perturbations, [&] { ++windows; });
    EXPECT_EQ(windows, data_.inputs.images);
    for (size_t i = 0; i < components.size(); ++i) {
      const std::string name = name_of(components[i]);
      expect_damage(damage[i], logits_of(with_component_replaced(model_, components[i])), name);
      for (const DamageSums& image : damage[components.size() + i]) {
        EXPECT_EQ(image.kl, 0) << name;
        EXPECT_EQ(image.delta_nll, 0) << name;
        EXPECT_EQ(image.same_top, 1) << name;
      }
    }
  }
}

TEST_P(VisionSweepTest, EverythingAtOnceAndTheBase) {
  const std::unique_ptr<Engine> own = engine();
  VisionSweep sweep(*own, model_, data_, ComputeType::kFloat32);
  Model all(model_.config(), model_.source());
  for (const TensorId& id : model_.tensors())
    all.set_weight(
        id, is_matrix(id.role) ? quantize_values(kCoarse, model_.weight(id), {}, 1, name_of(id)) : model_.weight(id));
  expect_damage(sweep.whole_model(all), logits_of(all), "everything");
  for (const DamageSums& image : sweep.whole_model(model_)) EXPECT_EQ(image.kl, 0);
  EXPECT_LT(relative_distance(sweep.base_logits(1).to(at::kDouble), logits_of(model_).narrow(0, 1, 1)), 2e-5);
}

INSTANTIATE_TEST_SUITE_P(Engines, VisionSweepTest,
                         ::testing::Combine(::testing::ValuesIn(vision_fixture_names()),
                                            ::testing::Values("cpu", "aten")),
                         [](const auto& info) { return std::get<0>(info.param) + "_" + std::get<1>(info.param); });

// A class is the mean of its prompts: two of the same one are one, and two that differ are neither.
TEST(VisionSweepClasses, AreMeansOfPrompts) {
  const Model model = load_model(vision_fixture("clip").string());
  AnswerData once = golden_answer_data(model, "clip"), twice = once;
  twice.inputs.texts.clear();
  for (const std::vector<int32_t>& text : once.inputs.texts)
    twice.inputs.texts.insert(twice.inputs.texts.end(), 2, text);
  const std::unique_ptr<Engine> engine = make_engine({});
  VisionSweep one(*engine, model, once, ComputeType::kFloat32), two(*engine, model, twice, ComputeType::kFloat32);
  EXPECT_LT(relative_distance(two.base_logits(0), one.base_logits(0)), 1e-6);
  std::swap(twice.inputs.texts.front(), twice.inputs.texts.back());
  VisionSweep mixed(*engine, model, twice, ComputeType::kFloat32);
  EXPECT_GT(relative_distance(mixed.base_logits(0), one.base_logits(0)), 1e-3);
}

TEST(VisionSweepClasses, DataThatTheModelDoesNotAnswerToAreRefused) {
  const Model vit = load_model(vision_fixture("vit").string()), clip = load_model(vision_fixture("clip").string());
  const std::unique_ptr<Engine> engine = make_engine({});
  const auto refused = [&](const Model& model, const AnswerData& data, std::vector<std::string> words) {
    expect_error(ErrorKind::kInvalidArgument, words, [&] { VisionSweep(*engine, model, data, ComputeType::kFloat32); });
  };
  AnswerData other = golden_answer_data(vit, "vit");
  other.classes += 1;
  refused(vit, other, {"classes apart", "name those of the model"});
  AnswerData unlabelled = golden_answer_data(vit, "vit");
  unlabelled.labels.pop_back();
  refused(vit, unlabelled, {"labels"});
  AnswerData beyond = golden_answer_data(vit, "vit");
  beyond.labels[0] = 1000;
  refused(vit, beyond, {"label 1000"});
  AnswerData mute = golden_answer_data(clip, "clip");
  mute.inputs.texts.clear();
  refused(clip, mute, {"0 prompts", "equally many for each class"});
  AnswerData told = golden_answer_data(vit, "vit");
  told.inputs.texts = {{1}};
  refused(vit, told, {"takes none"});
}

}  // namespace
}  // namespace vernier
