// The screen of models that see, against its definitions in float64, and what it refuses.

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "base/counter_random.h"
#include "base/json.h"
#include "base/statistics.h"
#include "engine/aten_answers.h"
#include "support/expect_error.h"
#include "support/models.h"
#include "support/vision_models.h"
#include "vernier/quantize_tensor.h"
#include "vernier/screen.h"

namespace vernier {
namespace {

constexpr uint64_t kVisionSeed = 5;

at::Tensor pixels_of_data(const Model& model, const AnswerData& data) {
  const ModelConfig& seeing = *model.config().find_stack(model.config().stacks.empty() ? Stack::kOnly : Stack::kImage);
  const PatchConfig& p = seeing.patches;
  std::vector<float> all;
  for (int64_t i = 0; i < data.inputs.images; ++i) {
    const std::vector<float> one = data.inputs.pixels(i);
    all.insert(all.end(), one.begin(), one.end());
  }
  return at::tensor(all).view({data.inputs.images, p.channels, p.image_size, p.image_size}).to(at::kDouble);
}

at::Tensor ids_of_data(const AnswerData& data) {
  std::vector<int64_t> ids;
  for (const std::vector<int32_t>& text : data.inputs.texts) ids.insert(ids.end(), text.begin(), text.end());
  return at::tensor(ids, at::kLong).view({static_cast<int64_t>(data.inputs.texts.size()), -1});
}

/// One differentiable forward of the whole model in float64: the definitions, with nothing of the screen's own but the
/// draw of a uniform number per image.
struct WideModel {
  explicit WideModel(const Model& model) : wide(model.config(), model.source()) {
    for (const TensorId& id : model.tensors())
      wide.set_weight(id, model.weight(id).detach().to(at::kDouble, false, true).set_requires_grad(is_matrix(id.role)));
  }

  /// [images, classes]
  at::Tensor log_p(const AnswerData& data) const {
    const at::Tensor pixels = pixels_of_data(wide, data);
    if (wide.config().stacks.empty()) return classify(wide, pixels).log_softmax(-1);
    const ImageTextAnswers answers = compare_images_with_texts(wide, pixels, ids_of_data(data));
    const at::Tensor mean = answers.text_embeds.view({data.classes, -1, answers.text_embeds.size(-1)}).mean(1);
    const at::Tensor cosines = at::matmul(answers.image_embeds, (mean / mean.norm(2, -1, true)).t());
    return (cosines * wide.weight({TensorRole::kLogitScale}).exp()).log_softmax(-1);
  }

  /// By image, of -log p of its label.
  std::vector<std::map<TensorId, at::Tensor>> gradients(const AnswerData& data, ScreenLabels labels) {
    std::vector<std::map<TensorId, at::Tensor>> all;
    std::vector<at::Tensor> leaves;
    for (const TensorId& id : wide.matrices()) leaves.push_back(wide.weight(id));
    const at::Tensor values = log_p(data);
    for (int64_t i = 0; i < values.size(0); ++i) {
      const at::Tensor cumulative = values[i].detach().exp().cumsum(0);
      const double u = uniform_at(kVisionSeed, static_cast<uint64_t>(i), 0);
      const int64_t label = labels == ScreenLabels::kSampled ? (cumulative <= u * cumulative[-1]).sum().item<int64_t>()
                                                             : data.labels[static_cast<size_t>(i)];
      nll += -values[i][label].item<double>();
      const auto found = torch::autograd::grad({-values[i][label]}, leaves, {}, /*retain_graph=*/true, false,
                                               /*allow_unused=*/true);
      std::map<TensorId, at::Tensor>& own = all.emplace_back();
      for (size_t t = 0; t < leaves.size(); ++t)
        own[wide.matrices()[t]] = found[t].defined() ? found[t] : at::zeros_like(leaves[t]);
    }
    return all;
  }

  Model wide;
  double nll = 0;
};

at::Tensor part(const at::Tensor& t, const WeightSlice& s) {
  return t.narrow(0, s.first_row, s.rows).narrow(1, s.first_col, s.cols);
}

struct VisionCase {
  std::string model;
  ScreenLabels labels;
  bool ensembles;  // of two prompts a class
};

class VisionScreen : public ::testing::TestWithParam<VisionCase> {
 protected:
  Model model_ = load_model(vision_fixture(GetParam().model).string());
  AnswerData data_ = data_of(model_, GetParam());

  static AnswerData data_of(const Model& model, const VisionCase& c) {
    AnswerData data = golden_answer_data(model, c.model);
    if (!c.ensembles) return data;
    data.inputs.texts.resize(data.inputs.texts.size() / 2 * 2);
    data.classes = static_cast<int64_t>(data.inputs.texts.size()) / 2;
    for (int32_t& label : data.labels) label %= static_cast<int32_t>(data.classes);
    return data;
  }
};

TEST_P(VisionScreen, EqualsItsDefinitionsInFloat64) {
  const Calibration calibration = calibrate_vision(model_, data_.inputs);
  ScreenOptions options{
      .schemes = {"int3:channel:sym", "int4:g32:asym"}, .seed = kVisionSeed, .labels = GetParam().labels};
  options.compute.threads = 2;
  const Screen s = screen(model_, calibration, data_, options);
  WideModel wide(model_);
  const auto gradients = wide.gradients(data_, GetParam().labels);
  const auto images = static_cast<double>(gradients.size());
  ASSERT_EQ(s.domains.size(), 1u);
  EXPECT_NEAR(s.domains[0].label_nll.mean, wide.nll / images, 1e-5) << "the same labels";
  EXPECT_EQ(s.components, components_of(model_.config(), all_component_kinds()));
  EXPECT_EQ(s.matrices.size(), model_.matrices().size());
  for (const std::string& name : options.schemes) {
    std::map<TensorId, at::Tensor> errors;
    for (const TensorId& id : model_.matrices()) {
      const at::Tensor weight = model_.weight(id).to(at::kFloat);
      const std::vector<int64_t> shape = model_.shape(id);
      const auto place = std::find(s.schemes.begin(), s.schemes.end(), Scheme::parse(name).name()) - s.schemes.begin();
      const auto matrix =
          std::find_if(s.matrices.begin(), s.matrices.end(), [&](const auto& m) { return m.tensor == id; });
      ASSERT_NE(matrix, s.matrices.end()) << name_of(id);
      const Scheme scheme = Scheme::parse(matrix->errors[static_cast<size_t>(place)].scheme);
      errors[id] =
          (quantize_values(scheme, weight, calibration.importance(model_, id), 1, "") - weight).to(at::kDouble);
    }
    for (const Component& component : s.components) {
      SCOPED_TRACE(name_of(component) + " " + name);
      std::vector<double> directional, diagonal, dots;
      double fit = 0;
      for (const auto& own : gradients) {
        double dot = 0, squares = 0;
        for (const WeightSlice& slice : slices_of(model_.config(), component)) {
          const at::Tensor d = part(errors.at(slice.tensor), slice), g = part(own.at(slice.tensor), slice);
          dot += (g * d).sum().item<double>();
          squares += (g * d).square().sum().item<double>();
          fit += g.square().sum().item<double>() * d.square().mean().item<double>() / images;
        }
        directional.push_back(dot * dot / 2);
        diagonal.push_back(squares / 2);
        dots.push_back(dot);
      }
      const std::vector<double> ones(gradients.size(), 1);
      const auto expect = [&](const char* key, const Measured& wanted, double absolute) {
        const Measured& got = s.at(component, name, key);
        EXPECT_NEAR(got.mean, wanted.mean, 1e-3 * std::abs(wanted.mean) + absolute) << key;
        EXPECT_NEAR(got.standard_error, wanted.standard_error, 2e-3 * wanted.standard_error + absolute) << key;
      };
      // As of language models: float32 through the layers and squared; a dot of terms that cancel keeps their error.
      const Measured diag = ratio_estimate(diagonal, ones), first = ratio_estimate(dots, ones);
      expect("diagonal", diag, 0);
      expect("directional", ratio_estimate(directional, ones), 1e-3 * diag.mean);
      expect("first_order", {std::abs(first.mean), first.standard_error}, 1e-3 * std::sqrt(diag.mean / images));
      EXPECT_NEAR(s.at(component, name, "fit").mean, fit, 1e-3 * fit);
      EXPECT_GE(diag.mean, 0);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, VisionScreen, ::testing::ValuesIn([] {
                           std::vector<VisionCase> cases;
                           for (const std::string& name : vision_fixture_names())
                             cases.push_back({name, ScreenLabels::kSampled, false});
                           cases.push_back({"vit", ScreenLabels::kText, false});
                           cases.push_back({"clip", ScreenLabels::kText, true});
                           return cases;
                         }()),
                         [](const auto& info) {
                           return info.param.model + (info.param.labels == ScreenLabels::kText ? "_text" : "") +
                                  (info.param.ensembles ? "_ensembles" : "");
                         });

TEST(VisionScreens, ThreadsAndMemoryChangeNothing) {
  for (const char* name : {"vit", "clip"}) {
    const Model model = load_model(vision_fixture(name).string());
    const AnswerData data = golden_answer_data(model, name);
    const Calibration calibration = calibrate_vision(model, data.inputs);
    ScreenOptions options{.schemes = {"int3:channel:sym"}, .seed = kVisionSeed, .kfac_rows = 32};
    options.compute.threads = 1;
    const Json one = screen_to_json(screen(model, calibration, data, options));
    options.compute.threads = 2;
    EXPECT_EQ(screen_to_json(screen(model, calibration, data, options)), one);
    options.memory_bytes = least_screen_memory(model, data);  // streams are made again, one image at a time
    EXPECT_EQ(screen_to_json(screen(model, calibration, data, options)), one);
    EXPECT_EQ(screen_to_json(screen_from_json(one, "screen.json")), one);
  }
}

TEST(VisionScreens, SomeKindsAloneGetTheSameFigures) {
  const Model model = load_model(vision_fixture("clip").string());
  const AnswerData data = golden_answer_data(model, "clip");
  const Calibration calibration = calibrate_vision(model, data.inputs);
  ScreenOptions options{.schemes = {"int4:channel:sym"}};
  const Screen all = screen(model, calibration, data, options);
  options.kinds = {ComponentKind::kEmbed};  // of the text tower alone
  const Screen some = screen(model, calibration, data, options);
  ASSERT_EQ(some.components.size(), 1u);
  EXPECT_EQ(some.at(some.components[0], "int4:channel:sym", "diagonal").mean,
            all.at(some.components[0], "int4:channel:sym", "diagonal").mean);
}

TEST(VisionScreens, SayWhatTheyCannotDo) {
  const Model vit = load_model(vision_fixture("vit").string()), llama = fixture_model("llama");
  AnswerData data = golden_answer_data(vit, "vit");
  const Calibration calibration = calibrate_vision(vit, data.inputs);
  expect_error(ErrorKind::kUnsupported, {"screen", "language model"}, [&] { screen(llama, {}, data); });
  expect_error(ErrorKind::kUnsupported, {"screen", "the limit"},
               [&] { screen(vit, calibration, data, {.limit = true}); });
  expect_error(ErrorKind::kInvalidArgument, {"calibration"}, [&] { screen(vit, calibration_of(llama), data); });
  expect_error(ErrorKind::kInvalidArgument, {"screen", "memory", "at least"},
               [&] { screen(vit, calibration, data, {.memory_bytes = least_screen_memory(vit, data) - 1}); });
  data.labels[0] = -1;
  expect_error(ErrorKind::kInvalidArgument, {"without a label"},
               [&] { screen(vit, calibration, data, {.labels = ScreenLabels::kText}); });
  data.classes += 1;
  expect_error(ErrorKind::kInvalidArgument, {"screen", "classes apart"}, [&] { screen(vit, calibration, data); });
}

}  // namespace
}  // namespace vernier
