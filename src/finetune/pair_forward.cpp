#include "finetune/pair_forward.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "engine/aten_answers.h"
#include "ops/mixed_arithmetic.h"

namespace vernier {

namespace {

at::Tensor padded_texts(const std::vector<const std::vector<int32_t>*>& texts) {
  size_t longest = 1;
  for (const std::vector<int32_t>* text : texts) longest = std::max(longest, text->size());
  const at::Tensor ids = at::zeros({static_cast<int64_t>(texts.size()), static_cast<int64_t>(longest)}, at::kLong);
  int64_t* out = ids.data_ptr<int64_t>();
  for (const std::vector<int32_t>* text : texts) {
    std::copy(text->begin(), text->end(), out);
    out += longest;
  }
  return ids;
}

at::Tensor units(const at::Tensor& x) { return x / x.norm(2, -1, /*keepdim=*/true); }

}  // namespace

void add_texts(const TrainingData& data, std::span<const int64_t> examples, const at::Tensor& labels,
               ExampleBatch& batch) {
  std::vector<const std::vector<int32_t>*> texts;
  for (const std::vector<int32_t>& prompt : data.prompts) texts.push_back(&prompt);
  batch.classes = data.classes;
  batch.same_text = labels.unsqueeze(0) == labels.unsqueeze(1);
  if (!data.captions.empty()) {
    const auto count = static_cast<int64_t>(examples.size());
    batch.captions = count;
    const auto caption = [&](int64_t i) -> const std::vector<int32_t>& {
      return data.captions[static_cast<size_t>(examples[static_cast<size_t>(i)])];
    };
    bool* same = batch.same_text.data_ptr<bool>();
    for (int64_t i = 0; i < count; ++i) {
      texts.push_back(&caption(i));
      for (int64_t j = 0; j < count; ++j) *same++ = caption(i) == caption(j);
    }
  }
  batch.texts = padded_texts(texts);
  batch.same_text = batch.same_text.to(batch.inputs.device());
}

Answered pair_answers(const Model& model, const ExampleBatch& batch, const RoundedInputs& inputs) {
  const AtenModel::Place place{.device = batch.inputs.device(), .inputs = inputs, .own_tensors = true};
  const ImageTextAnswers answers =
      compare_images_with_texts(model, batch.inputs, batch.texts, place, batch.seen_patches);
  const at::Tensor& texts = answers.text_embeds;
  const int64_t prompts = texts.size(0) - batch.captions, width = texts.size(1);
  const at::Tensor classes =
      units(texts.narrow(0, 0, prompts).reshape({batch.classes, prompts / batch.classes, width}).mean(1));
  Answered answered;
  answered.labels = batch.labels;
  answered.same_text = batch.same_text;
  answered.pairs.images = answers.image_embeds;
  answered.pairs.scale = model.weight({TensorRole::kLogitScale}).to(texts.options()).exp();
  answered.pairs.texts =
      batch.captions > 0 ? texts.narrow(0, prompts, batch.captions) : classes.index_select(0, batch.labels.reshape(-1));
  const MixedArithmetic wide(false, batch.inputs.device());  // a hundred times these cosines are what answers
  answered.logits = (at::matmul(answers.image_embeds, classes.t()) * answered.pairs.scale).unsqueeze(1);
  return answered;
}

}  // namespace vernier
