#include "finetune/drawn_ahead.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "finetune/batch_gradient.h"
#include "finetune/checkpoint_file.h"
#include "finetune/resampled_text.h"
#include "support/expect_error.h"
#include "support/scratch.h"
#include "support/training_data.h"
#include "vernier/planning.h"

namespace vernier {
namespace {

constexpr int64_t kVocabulary = 320;  // of the fixtures

TEST(DrawnAhead, KeepsOfATextThatCameTwiceTheLatter) {
  const TrainingData texts = made_up_training(6);
  const int64_t rows = longest_rows(texts);
  DrawnAhead ahead(texts, at::kCPU);
  const std::vector<int64_t> some{4, 1, 4};
  const at::Tensor given = batch_of(texts, some, at::kCPU, rows).inputs;
  EXPECT_TRUE(at::equal(ahead.inputs(some), given));
  const at::Tensor drawn = at::stack({given[0] + 1, given[1] + 2, given[2] + 3});
  ahead.keep(some, drawn);
  EXPECT_TRUE(at::equal(ahead.inputs(some), at::stack({drawn[2], drawn[1], drawn[2]})));
  const std::vector<int64_t> other{0, 5};
  EXPECT_TRUE(at::equal(ahead.inputs(other), batch_of(texts, other, at::kCPU, rows).inputs));

  DrawnAhead resumed(texts, at::kCPU);
  resumed.restore(ahead.state(), kVocabulary, "checkpoint");
  EXPECT_TRUE(at::equal(resumed.inputs(some), ahead.inputs(some)));
  expect_error(ErrorKind::kBadFile, {"checkpoint", "[6, ", "[7, "},
               [&] { DrawnAhead(made_up_training(7), at::kCPU).restore(ahead.state(), kVocabulary, "checkpoint"); });
  for (const double id : {-1.0, static_cast<double>(kVocabulary), std::nan("")}) {
    const at::Tensor foreign = ahead.state();
    foreign[2][3] = id;
    expect_error(ErrorKind::kBadFile, {"checkpoint", "ids", std::to_string(kVocabulary - 1)},
                 [&] { resumed.restore(foreign, kVocabulary, "checkpoint"); });
  }
  EXPECT_TRUE(at::equal(resumed.inputs(some), ahead.inputs(some))) << "what was refused changed nothing";
}

class DrawnAheadOn : public ::testing::TestWithParam<const char*> {};

// On a GPU the kernels of the first batch are recorded: of the second one everything must be read anew.
TEST_P(DrawnAheadOn, WordsAreOfTheAnswersToHowATextWasMet) {
  if (std::string(GetParam()) == "cuda" && !at::hasCUDA()) GTEST_SKIP() << "libtorch has no CUDA here";
  const at::Device device(GetParam());
  Model model = fixture_model("llama");
  for (const TensorId& id : model.tensors()) model.set_weight(id, model.weight(id).to(device, at::kFloat));
  const TrainingData texts = made_up_training(8);
  const int64_t rows = longest_rows(texts);
  const BatchForward teacher(model, rows, device, {});
  LearnedModel learned(model, model, {}, {}, {.device = device});
  learned.begin(1);
  const std::unique_ptr<Weighting> weighting = find_weighting("none").make({});
  FinetuneOptions options;
  options.compute.device = GetParam();
  StepClock clock(device, false);
  BatchGradient gradient({.config = model.config(),
                          .model = learned,
                          .teacher = teacher,
                          .loss = find_loss("distillation"),
                          .weighting = *weighting,
                          .inputs = {},
                          .options = options,
                          .rows = rows},
                         device, clock);
  std::vector<at::Tensor> leaves;
  for (const AdamWParameter& parameter : learned.parameters()) leaves.push_back(parameter.value);
  for (const int64_t first : {0, 4}) {
    const std::vector<int64_t> some{first, first + 1, first + 2, first + 3};
    const Redraws redraws = redraws_of(texts, some, rows, 0.5, 3, first);
    GradientBatch batch{.examples = batch_of(texts, some, device, rows),
                        .redraws = {redraws.drawn.to(device), redraws.until.to(device)},
                        .weights = at::full({4}, 0.25, at::TensorOptions(device))};
    batch.given = batch.examples.inputs;
    batch.examples.inputs = batch.given.roll(1, 0);  // how they were met: as each other
    const at::Tensor drawn = gradient.of(batch, leaves, 1).drawn_ahead;
    const at::Tensor right = resampled_text(batch.given, teacher.answers(batch.examples).logits, batch.redraws);
    EXPECT_LT((drawn != right).sum().item<int64_t>(), device.is_cpu() ? 1 : 4) << "last bits of sums may tip a draw";
    EXPECT_TRUE(at::equal(at::where(batch.redraws.drawn, batch.given, drawn), batch.given)) << "others stay as given";
    EXPECT_FALSE(at::equal(drawn, batch.given));
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, DrawnAheadOn, ::testing::Values("cpu", "cuda"),
                         [](const auto& param) { return std::string(param.param); });

TEST(DrawnAhead, TextsThatWereMetAreKeptAsTheyWereDrawn) {
  const Model model = fixture_model("llama");
  TrainingData texts = made_up_training(8);
  texts.self_written.assign(8, false);
  texts.self_written[3] = true;
  FinetuneOptions options;
  options.steps = 2;  // uniform sampling: all are met twice
  options.batch = 8;
  options.evaluate_steps = 2;
  options.resample = 0.4;
  options.draw_ahead = true;
  options.work = scratch_path("drawn_ahead_checkpoint");
  std::filesystem::remove_all(options.work);
  finetune(model, plan_uniform(model, "int4:g32:asym", "huggingface"), {}, texts, made_up_training(8, 100), options);
  const std::optional<CheckpointFile> file = read_checkpoint(options.work / "checkpoint.safetensors");
  std::filesystem::remove_all(options.work);
  ASSERT_TRUE(file.has_value());
  const int64_t rows = longest_rows(texts);
  const at::Tensor given = batch_of(texts, std::vector<int64_t>{0, 1, 2, 3, 4, 5, 6, 7}, at::kCPU, rows).inputs;
  const at::Tensor other = file->tensors.at("drawn_ahead").to(at::kLong) != given;
  const auto share = [&](int64_t text) { return other[text].to(at::kDouble).mean().item<double>(); };
  for (const int64_t text : {0, 1, 2, 4, 5, 6, 7}) {
    EXPECT_GT(share(text), 0.1) << text << ": two fifths, less those drawn as they were";
    EXPECT_LT(share(text), 0.7) << text;
    EXPECT_FALSE(other[text][0].item<bool>()) << "nothing stands before a first token to draw it from";
  }
  EXPECT_EQ(share(3), 0) << "what it wrote itself stays";
}

TEST(DrawnAhead, TrainsAsDrawingBeforehandDoes) {
  const Model model = fixture_model("llama");
  const Plan plan = plan_uniform(model, "int2:g32:asym", "huggingface");
  FinetuneOptions options = forty_steps();
  options.resample = 0.4;
  const auto curve = [&](bool ahead) {
    options.draw_ahead = ahead;
    return finetune(model, plan, {}, made_up_training(64), made_up_training(32, 100), options).trained;
  };
  const FinetuneCurve before = curve(false), ahead = curve(true);
  EXPECT_LT(before.best, 0.8 * before.points[0].validation.worst_kl_nats()) << "there is something to compare";
  EXPECT_NE(ahead.best, before.best) << "other words";
  EXPECT_NEAR(ahead.best, before.best, 0.1 * before.best);
}

TEST(DrawnAhead, IsOfTextsThatAreDrawnAnewAndOfAnswers) {
  const Model model = fixture_model("llama");
  const Plan plan = plan_uniform(model, "int4:g32:asym", "huggingface");
  const auto tuned = [&](const FinetuneOptions& options) {
    finetune(model, plan, {}, made_up_training(4), made_up_training(4, 100), options);
  };
  FinetuneOptions options;
  options.steps = 1;
  options.draw_ahead = true;
  expect_error(ErrorKind::kInvalidArgument, {"--draw-ahead", "--resample"}, [&] { tuned(options); });
  options.resample = 0.3;
  options.batch = 4;
  expect_error(ErrorKind::kInvalidArgument, {"--draw-ahead", "4 draws", "4 texts"}, [&] { tuned(options); });
  options.batch = 5;
  options.loss = "cross-entropy";
  expect_error(ErrorKind::kUnsupported, {"--draw-ahead", "cross-entropy"}, [&] { tuned(options); });
  options.loss = "distillation";
  options.keep_answers = 3;
  expect_error(ErrorKind::kInvalidArgument, {"--draw-ahead", "--keep-answers"}, [&] { tuned(options); });
}

}  // namespace
}  // namespace vernier
