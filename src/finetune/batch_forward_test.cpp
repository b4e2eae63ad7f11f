// What a batch shows a model of its examples.

#include "finetune/batch_forward.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "finetune/moved_images.h"
#include "support/training_data.h"
#include "support/vision_models.h"

namespace vernier {
namespace {

class SeenPatches : public ::testing::TestWithParam<const char*> {
 protected:
  const Model model_ = load_model(vision_fixture(GetParam()).string());
  const PatchConfig patches_ = seeing().patches;
  const ExampleBatch all_ = batch_of(images(), std::vector<int64_t>{0, 1, 2, 3, 4, 5}, at::kCPU);

  bool is_pair() const { return !model_.config().stacks.empty(); }
  TrainingData images() const {
    return is_pair() ? made_up_image_texts(model_, 6, /*captions=*/true) : made_up_images(model_, 6);
  }

  const ModelConfig& seeing() const { return is_pair() ? *model_.config().find_stack(Stack::kImage) : model_.config(); }
  ExampleBatch seen(const at::Tensor& patches) const {
    ExampleBatch batch = all_;
    batch.seen_patches = patches;
    return batch;
  }
  /// The pixels of patch p of an image.
  at::Tensor square(const at::Tensor& pixels, int64_t p) const {
    const int64_t side = patches_.patch_size;
    return pixels.narrow(1, p / patches_.per_side() * side, side).narrow(2, p % patches_.per_side() * side, side);
  }
};

TEST_P(SeenPatches, AreAllWhereAllAreKept) {
  const at::Tensor every = at::arange(patches_.count()).unsqueeze(0).expand({6, -1});
  const Answered plain = batch_answers(model_, all_), kept = batch_answers(model_, seen(every));
  EXPECT_TRUE(at::equal(kept.logits, plain.logits));
  for (size_t layer = 0; layer < plain.streams.size(); ++layer)
    EXPECT_TRUE(at::equal(kept.streams[layer], plain.streams[layer])) << layer;
}

TEST_P(SeenPatches, AreWhatAnswersHangOnAndOthersAreNot) {
  const at::Tensor kept = kept_patches(6, patches_.count(), 0.5, 3, 0);
  const ExampleBatch some = seen(kept);
  const Answered before = batch_answers(model_, some);
  EXPECT_EQ(before.streams.empty(), is_pair());
  if (!is_pair()) {
    EXPECT_EQ(before.streams.front().size(1), kept.size(1) + patches_.learned_rows());
    EXPECT_EQ(before.streams.back().size(1), patches_.learned_rows());
  }
  for (const bool changes_kept : {false, true}) {
    ExampleBatch changed = some;
    changed.inputs = all_.inputs.clone();
    for (int64_t i = 0; i < 6; ++i)
      for (int64_t p = 0; p < patches_.count(); ++p)
        if (kept[i].eq(p).any().item<bool>() == changes_kept) square(changed.inputs[i], p).add_(1);
    const Answered after = batch_answers(model_, changed);
    EXPECT_EQ(at::equal(after.logits, before.logits), !changes_kept);
    for (size_t layer = 0; layer < before.streams.size(); ++layer)
      EXPECT_EQ(at::equal(after.streams[layer], before.streams[layer]), !changes_kept) << layer;
  }
}

INSTANTIATE_TEST_SUITE_P(Family, SeenPatches, ::testing::Values("vit", "deit", "deit_distilled", "clip"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace vernier
