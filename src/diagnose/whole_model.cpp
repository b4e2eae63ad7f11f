#include "diagnose/whole_model.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "diagnose/damage.h"
#include "engine/aten_answers.h"
#include "engine/aten_model.h"
#include "engine/class_vectors.h"
#include "engine/logit_damage.h"
#include "ops/parallel.h"

namespace vernier {

namespace {

/// [images, classes] in plain arithmetic.
at::Tensor zero_shot_logits(const Model& model, const at::Tensor& pixels, const AnswerData& data) {
  constexpr size_t kTexts = 64;  // at once
  const std::span<const std::vector<int32_t>> texts = data.inputs.texts;
  std::vector<std::vector<float>> units;
  at::Tensor images;
  for (size_t first = 0; first < texts.size(); first += kTexts) {
    const ImageTextAnswers answers = compare_images_with_texts(
        model, pixels, padded_texts(texts.subspan(first, std::min(kTexts, texts.size() - first))), AtenModel::Place{});
    const at::Tensor own = answers.text_embeds.contiguous();
    for (int64_t i = 0; i < own.size(0); ++i) {
      const float* unit = own.data_ptr<float>() + i * own.size(1);
      units.emplace_back(unit, unit + own.size(1));
    }
    images = answers.image_embeds.to(at::kDouble);
  }
  std::vector<at::Tensor> logits;
  for (const std::vector<double>& vector : class_vectors(model, units, static_cast<size_t>(data.classes)))
    logits.push_back(at::matmul(images, at::tensor(vector, at::kDouble)));
  return at::stack(logits, 1);
}

}  // namespace

double noise_floor(const Model& model, Sweep& sweep, const EvaluationData& data) {
  constexpr int64_t kRows = 64;  // of logits in float64 at once
  const c10::NoGradGuard no_grad;
  const TokenWindow& window = data.windows.front();
  const std::vector<int64_t> ids(window.tokens.begin(), window.tokens.end() - 1);
  const at::Tensor input = at::tensor(ids, at::kLong).unsqueeze(0);
  double kl = 0;
  int64_t rows = 0;
  // By one thread: with more, a library may split a sum by how busy the machine is, and a resumed run would differ.
  parallel_for(1, 1, [&](int64_t, int) {
    const at::Tensor plain = forward_logits(model, input, window.first_row, {.layer_by_layer = true})[0];
    const at::Tensor base = sweep.base_logits(0);
    rows = plain.size(0);
    for (int64_t first = 0; first < rows; first += kRows) {
      const auto log_p = [&](const at::Tensor& logits) {
        return logits.narrow(0, first, std::min(kRows, rows - first)).to(at::kDouble).log_softmax(-1);
      };
      const at::Tensor p = log_p(plain);
      kl += (p.exp() * (p - log_p(base))).sum().item<double>();
    }
  });
  return kl / static_cast<double>(rows);
}

double noise_floor(const Model& model, Sweep& sweep, const AnswerData& data) {
  const c10::NoGradGuard no_grad;
  const std::vector<float> first = data.inputs.pixels(0);
  const ModelConfig& seeing =
      model.config().stacks.empty() ? model.config() : *model.config().find_stack(Stack::kImage);
  const int64_t side = seeing.patches.image_size;
  const at::Tensor pixels = at::tensor(first).view({1, seeing.patches.channels, side, side});
  double kl = 0;
  parallel_for(1, 1, [&](int64_t, int) {
    const at::Tensor plain = model.config().stacks.empty() ? classify(model, pixels, AtenModel::Place{})
                                                           : zero_shot_logits(model, pixels, data);
    kl = logit_damage(plain.to(at::kDouble), sweep.base_logits(0).to(at::kDouble), at::zeros({1, 1}, at::kLong))
             .kl.item<double>();
  });
  return kl;
}

Measured joint_damage(const Model& model, const QuantizedWeights& quantized, Sweep& sweep,
                      std::span<const int64_t> clusters) {
  Model all(model.config(), model.source());
  for (const TensorId& id : model.tensors())
    all.set_weight(id, is_matrix(id.role) ? quantized.make(id) : model.weight(id));
  return summarize(clusters, sweep.whole_model(all)).kl;
}

}  // namespace vernier
