#include "finetune/drawn_ahead.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "finetune/batch_gradient.h"
#include "finetune/resampled_text.h"
#include "support/expect_error.h"
#include "support/training_data.h"
#include "vernier/planning.h"

namespace vernier {
namespace {

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
  resumed.restore(ahead.state(), "checkpoint");
  EXPECT_TRUE(at::equal(resumed.inputs(some), ahead.inputs(some)));
  expect_error(ErrorKind::kBadFile, {"checkpoint", "6 texts", "7"},
               [&] { DrawnAhead(made_up_training(7), at::kCPU).restore(ahead.state(), "checkpoint"); });
}

TEST(DrawnAhead, WordsAreOfTheAnswersToHowATextWasMet) {
  const Model model = fixture_model("llama");
  const TrainingData texts = made_up_training(4);
  const std::vector<int64_t> some{0, 1, 2, 3};
  const int64_t rows = longest_rows(texts);
  const BatchForward teacher(model, rows, at::kCPU, {});
  const LearnedModel learned(model, model, {}, {}, {});
  const std::unique_ptr<Weighting> weighting = find_weighting("none").make({});
  FinetuneOptions options;
  StepClock clock(at::kCPU, false);
  BatchGradient gradient({.config = model.config(),
                          .model = learned,
                          .teacher = teacher,
                          .loss = find_loss("distillation"),
                          .weighting = *weighting,
                          .inputs = {},
                          .options = options,
                          .rows = rows},
                         at::kCPU, clock);
  GradientBatch batch{.examples = batch_of(texts, some, at::kCPU, rows),
                      .redraws = redraws_of(texts, some, rows, 0.5, 3, 0),
                      .weights = at::full({4}, 0.25)};
  batch.given = batch.examples.inputs;
  batch.examples.inputs = batch.given.roll(1, 0);  // how they were met: as each other
  std::vector<at::Tensor> leaves;
  for (const AdamWParameter& parameter : learned.parameters()) leaves.push_back(parameter.value);
  const at::Tensor drawn = gradient.of(batch, leaves, 1).drawn_ahead;
  const at::Tensor right = resampled_text(batch.given, teacher.answers(batch.examples).logits, batch.redraws);
  EXPECT_TRUE(at::equal(drawn, right));
  EXPECT_TRUE(at::equal(at::where(batch.redraws.drawn, batch.given, drawn), batch.given)) << "the others stay as given";
  EXPECT_FALSE(at::equal(drawn, batch.given));
}

TEST(DrawnAhead, TrainsAsDrawingBeforehandDoes) {
  const Model model = fixture_model("llama");
  const Plan plan = plan_uniform(model, "int2:g32:asym", "huggingface");
  FinetuneOptions options;
  options.steps = 40;
  options.batch = 8;
  options.learning_rate = 3e-3;
  options.evaluate_steps = 40;
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
  options.loss = "cross-entropy";
  expect_error(ErrorKind::kUnsupported, {"--draw-ahead", "cross-entropy"}, [&] { tuned(options); });
  options.loss = "distillation";
  options.keep_answers = 3;
  expect_error(ErrorKind::kInvalidArgument, {"--draw-ahead", "--keep-answers"}, [&] { tuned(options); });
}

}  // namespace
}  // namespace vernier
