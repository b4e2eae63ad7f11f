#include "engine/aten_answers.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/fail.h"
#include "engine/read_out.h"

namespace vernier {

namespace {

AtenModel placed_model(const Model& model, int64_t positions, const std::optional<AtenModel::Place>& place) {
  return place ? AtenModel(model, positions, *place) : AtenModel(model, positions);
}

at::Tensor placed_image_answers(const Model& model, const at::Tensor& pixels,
                                const std::optional<AtenModel::Place>& place, const at::Tensor& seen_patches = {}) {
  return image_answers(placed_model(model, model.config().patches.rows(), place),
                       place ? pixels.to(place->device) : pixels, nullptr, seen_patches);
}

at::Tensor answer_texts(const Model& model, const at::Tensor& ids, const std::optional<AtenModel::Place>& place) {
  check_ids(model, ids, 0);
  std::vector<int64_t> rows;
  for (int64_t b = 0; b < ids.size(0); ++b) {
    const at::Tensor text = ids[b].to(at::kCPU, at::kInt).contiguous();
    rows.push_back(answering_row(model.config(), {text.data_ptr<int32_t>(), static_cast<size_t>(text.numel())}));
  }
  const AtenModel ready = placed_model(model, ids.size(1), place);
  const AtenOps ops = ready.ops(ids.size(1));
  const at::Tensor stream = ready.embed(place ? ids.to(place->device) : ids);
  return ready.read_out(ops, ready.finish(ops, stream, 0, 0), at::tensor(rows, at::kLong).to(stream.device()));
}

}  // namespace

at::Tensor image_answers(const AtenModel& seeing, const at::Tensor& pixels, const AtenObserver* observer,
                         const at::Tensor& seen_patches) {
  const PatchConfig& patches = seeing.config().patches;
  const int64_t first_row = seen_patches.defined() ? seen_patches.size(1) : patches.count();
  const AtenOps ops = seeing.ops(first_row + patches.learned_rows(), observer);
  const at::Tensor hidden = seeing.finish(ops, seeing.embed_images(ops, pixels, seen_patches), 0, first_row);
  return seeing.read_out(ops, hidden, at::zeros({pixels.size(0)}, at::TensorOptions(hidden.device()).dtype(at::kLong)));
}

at::Tensor padded_texts(std::span<const std::vector<int32_t>> texts) {
  size_t longest = 1;
  for (const std::vector<int32_t>& text : texts) longest = std::max(longest, text.size());
  std::vector<int64_t> ids;
  for (const std::vector<int32_t>& text : texts) {
    ids.insert(ids.end(), text.begin(), text.end());
    ids.insert(ids.end(), longest - text.size(), text.empty() ? 0 : text.back());  // an end after the end
  }
  return at::tensor(ids, at::kLong).view({static_cast<int64_t>(texts.size()), static_cast<int64_t>(longest)});
}

at::Tensor classify(const Model& model, const at::Tensor& pixels, const std::optional<AtenModel::Place>& place) {
  if (!model.config().reads_images() || model.config().read_out.classes == 0)
    fail(ErrorKind::kUnsupported, "forward: {} ({}): expected a classifier of images", model.source().name,
         model.config().family);
  return placed_image_answers(model, pixels, place);
}

ImageTextAnswers compare_images_with_texts(const Model& model, const at::Tensor& pixels, const at::Tensor& ids,
                                           const std::optional<AtenModel::Place>& place,
                                           const at::Tensor& seen_patches) {
  if (model.config().stacks.empty())
    fail(ErrorKind::kUnsupported, "forward: {} ({}): expected a model of images and texts", model.source().name,
         model.config().family);
  ImageTextAnswers answers;
  const auto of_stack = [&](Stack stack, const auto& answer, const at::Tensor& given) {
    std::optional<AtenModel::Place> own = place;
    const ActivationRanges ranges =
        own && own->inputs.ranges != nullptr ? ranges_of_stack(*own->inputs.ranges, stack) : ActivationRanges();
    if (own && own->inputs.ranges != nullptr) own->inputs.ranges = &ranges;
    return answer(stack_of(model, stack), given, own);
  };
  const auto answer_images = [&seen_patches](const Model& tower, const at::Tensor& given, const auto& own) {
    return placed_image_answers(tower, given, own, seen_patches);
  };
  answers.image_embeds = of_stack(Stack::kImage, answer_images, pixels);
  answers.text_embeds = of_stack(Stack::kText, answer_texts, ids);
  const at::Tensor scale = model.weight({TensorRole::kLogitScale}).to(answers.image_embeds.options()).exp();
  answers.logits_per_image = at::matmul(answers.image_embeds, answers.text_embeds.t()) * scale;
  return answers;
}

}  // namespace vernier
