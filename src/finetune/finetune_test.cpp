#include "vernier/finetune.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "finetune/batch_forward.h"
#include "ops/mixed_arithmetic.h"
#include "support/expect_error.h"
#include "support/training_data.h"
#include "support/vision_models.h"
#include "vernier/planning.h"
#include "vernier/quantize.h"

namespace vernier {
namespace {

FinetuneOptions short_run(int64_t steps) {
  FinetuneOptions options;
  options.steps = steps;
  options.batch = 8;
  options.learning_rate = 3e-3;
  options.warm_up_steps = 4;
  options.evaluate_steps = 10;
  options.refit_steps = 10;
  options.compute.threads = 1;
  return options;
}

double held_out_kl(const Model& model, const Model& other) {
  return evaluate_finetuned(model, other, made_up_training(32, 64), short_run(1)).all.kl_nats.mean;
}

TEST(Finetune, LowersTheDamageOfFewBits) {
  const Model model = fixture_model("llama");
  // Of finer grids less is left to mend in so few steps: 0.84 of it stays at 3 bits.
  for (const auto& [scheme, share] : {std::pair("int2:g32:asym", 0.6), std::pair("int3:g64:asym", 0.9)}) {
    const Plan plan = plan_uniform(model, scheme, "huggingface");
    const FinetuneResult tuned =
        finetune(model, plan, {}, made_up_training(64), made_up_training(32, 100), short_run(60));
    Plan nearest = plan;
    nearest.method = "nearest";
    const double before = held_out_kl(model, quantize(model, {}, nearest, 1).in_memory());
    EXPECT_LT(held_out_kl(model, tuned.model), share * before) << scheme;
    EXPECT_EQ(tuned.trained.stopped, "steps");
    EXPECT_EQ(tuned.trained.points.size(), 7U);
  }
}

TEST(Finetune, RecordedStepsAreThoseThatTheyWereRecordedFrom) {
  if (!at::hasCUDA()) GTEST_SKIP() << "libtorch has no CUDA here";
  const Model llama = fixture_model("llama"), vit = load_model(vision_fixture("vit").string());
  for (const char* scheme : {"gguf:q4_0", "int3:g64:asym", "int3:channel:asym"}) {
    const bool sees = std::string(scheme) == "int3:channel:asym";
    const Model& model = sees ? vit : llama;
    const TrainingData data = sees ? made_up_images(vit, 64) : made_up_training(64);
    const Plan plan = plan_uniform(model, scheme, scheme[0] == 'g' ? "llama.cpp" : "huggingface");
    FinetuneOptions options = short_run(30);
    options.compute.device = "cuda";
    options.learn_scales = scheme[0] == 'i';
    options.resample = sees ? 0 : 0.3;
    options.average = 0.9;
    const auto tuned = [&](bool time_stages) {
      options.time_stages = time_stages;  // which starts every kernel by itself
      return finetune(model, plan, {}, data, data, options).model;
    };
    // Of the tensor that differs most; of the ViT the matrix, since biases begin at 0 and are small against a step.
    const auto apart = [&](const Model& a, const Model& b) {
      float most = 0;
      for (const TensorId& id : sees ? model.matrices() : model.tensors())
        most = std::max(most, (a.weight(id) - b.weight(id)).norm().item<float>() / b.weight(id).norm().item<float>());
      return most;
    };
    if (options.learn_scales) {
      options.loss = "distillation-fisher";
      options.feature_weight = 64;
      options.patch_dropout = sees ? 0.5 : 0;
      const Model stays = tuned(true);
      options.final_feature_weight = 0;
      EXPECT_GT(apart(tuned(true), stays), 0.02) << scheme << ": a weight that stayed as recorded would be seen";
    }
    // A few codes that the last bits of sums tip.
    EXPECT_LT(apart(tuned(false), tuned(true)), 0.02) << scheme;
  }
}

TEST(Finetune, KernelsOfAGpuTrainAsPlainOperationsDo) {
  if (!at::hasCUDA()) GTEST_SKIP() << "libtorch has no CUDA here";
  for (const char* name : {"llama", "mixtral"}) {
    const Model model = fixture_model(name);
    const Plan plan = plan_uniform(model, "int2:g32:asym", "huggingface");  // of which 40 steps mend a fifth and more
    FinetuneOptions options = short_run(40);
    options.compute.device = "cuda";
    options.compute.type = ComputeType::kBFloat16;
    options.resample = 0.3;
    const auto curve = [&](bool kernels, int64_t keep) {
      options.kernel_attention = kernels;
      options.keep_answers = keep;
      return finetune(model, plan, {}, made_up_training(64), made_up_training(32, 100), options).trained;
    };
    for (const int64_t keep : {0, 100}) {
      const FinetuneCurve plain = curve(false, keep);
      EXPECT_LT(plain.best, 0.8 * plain.points[0].validation.worst_kl_nats()) << name;
      // 8 bits of a number, and codes that tip.
      EXPECT_NEAR(curve(true, keep).best, plain.best, 0.1 * plain.best) << name << " " << keep;
    }
  }
}

TEST(Finetune, ProductsInBfloat16TrainOnTheCpuToo) {
  const auto curve = [](const Model& model, const char* scheme, const TrainingData& data, FinetuneOptions options,
                        ComputeType type) {
    options.compute.type = type;
    return finetune(model, plan_uniform(model, scheme, "huggingface"), {}, data, data, options).trained;
  };
  FinetuneOptions text = short_run(40), images = short_run(40);
  text.resample = 0.3;
  images.loss = "distillation-streams";
  images.level_rate = 0.02;
  images.scale_rate = 0.5;
  images.cutmix = 0.5;
  const Model llama = fixture_model("llama"), vit = load_model(vision_fixture("vit").string());
  const TrainingData words = made_up_training(64), pixels = made_up_images(vit, 64);
  for (const bool sees : {false, true}) {
    const auto by = [&](ComputeType type) {
      return sees ? curve(vit, "int2:channel:asym", pixels, images, type)
                  : curve(llama, "int2:g32:asym", words, text, type);
    };
    const FinetuneCurve wide = by(ComputeType::kFloat32), narrow = by(ComputeType::kBFloat16);
    EXPECT_LT(wide.best, 0.8 * wide.points[0].validation.worst_kl_nats()) << sees;
    EXPECT_EQ(narrow.best != wide.best, multiplies_bfloat16(at::kCPU)) << sees;
    EXPECT_NEAR(narrow.best, wide.best, 0.15 * wide.best) << sees;  // 8 bits of a number, and codes that tip
  }
}

TEST(Finetune, StreamsAreComparedByWhatTheyMeanForAnswers) {
  const Model llama = fixture_model("llama"), vit = load_model(vision_fixture("vit").string());
  for (const char* device : {"cpu", "cuda"}) {
    if (device[1] == 'u' && !at::hasCUDA()) continue;
    for (const bool sees : {false, true}) {
      FinetuneOptions options = short_run(40);
      options.loss = "distillation-fisher";
      options.feature_weight = 16;
      options.compute.device = device;
      options.cutmix = sees ? 0.5 : 0;
      options.patch_dropout = sees ? 0.25 : 0;
      const Model& model = sees ? vit : llama;
      const TrainingData data = sees ? made_up_images(vit, 64) : made_up_training(64);
      const Plan plan = plan_uniform(model, sees ? "int2:channel:asym" : "int2:g32:asym", "huggingface");
      const FinetuneCurve curve = finetune(model, plan, {}, data, data, options).trained;
      EXPECT_LT(curve.best, 0.8 * curve.points[0].validation.worst_kl_nats()) << device << " " << sees;
    }
  }
}

TEST(Finetune, WeightsOfFeaturesComeToWhatIsAsked) {
  const Model model = fixture_model("llama");
  const Plan plan = plan_uniform(model, "int2:g32:asym", "huggingface");
  const TrainingData data = made_up_training(64);
  const auto loss_by = [&](double first, double last) {  // the mean over the steps
    FinetuneOptions options = short_run(8);
    options.loss = "distillation-streams";
    options.feature_weight = first;
    options.final_feature_weight = last;
    options.learning_rate = 1e-9;  // the model stays, and so do both parts of the loss
    options.evaluate_steps = options.steps;
    options.refit_steps = 0;
    return finetune(model, plan, {}, data, data, options).trained.points.back().training_loss;
  };
  const double none = loss_by(0, -1), all = loss_by(8, -1);
  EXPECT_GT(all, 1.5 * none);
  EXPECT_NEAR(loss_by(8, 8), all, 1e-6 * all);
  // Of steps 0 to 7 of 8 the weights are 8, 7 ... 1: 4.5 in the mean, of batches that are not quite alike.
  EXPECT_NEAR(loss_by(8, 0), none + (all - none) * 4.5 / 8, 0.05 * (all - none));
}

TEST(Finetune, AnswersOfMixedArithmeticAreCloseToThoseOfFloat32) {
  const at::Device cpu(at::kCPU);
  if (!multiplies_bfloat16(cpu)) GTEST_SKIP() << "this processor has no AVX512_BF16";
  const auto check = [&](const std::string& name, const Model& model, const TrainingData& data) {
    const ExampleBatch batch = batch_of(data, std::vector<int64_t>{0, 1, 2, 3}, cpu);
    const Answered wide = batch_answers(model, batch);
    const MixedArithmetic mixed(true, cpu);
    const Answered narrow = batch_answers(model, batch);
    const at::Tensor gone = (narrow.logits.to(at::kFloat) - wide.logits).norm(2, -1) / wide.logits.norm(2, -1);
    EXPECT_GT(gone.max().item<float>(), 0) << name;
    // Each product rounds its operands to 8 bits, 0.2%, and some thirty follow each other. Of experts two may be as good
    // as each other, in single rows.
    EXPECT_LT(gone.median().item<float>(), 0.02F) << name;
    const bool chooses =
        std::ranges::any_of(model.tensors(), [](const TensorId& id) { return id.role == TensorRole::kRouter; });
    EXPECT_LT(gone.max().item<float>(), chooses ? 1.0F : 0.05F) << name;
    for (const at::Tensor& stream : narrow.streams) EXPECT_EQ(stream.scalar_type(), at::kFloat) << name;
    for (const at::Tensor& units : {narrow.pairs.images, narrow.pairs.texts})
      EXPECT_TRUE(!units.defined() || units.scalar_type() == at::kFloat) << name;
  };
  for (const char* name :
       {"llama", "qwen2", "qwen3", "olmo2", "gemma3", "gpt2", "phi3", "mixtral", "qwen2_moe", "olmoe"})
    check(name, fixture_model(name), made_up_training(8));
  for (const char* name : {"vit", "deit_distilled", "clip"}) {
    const Model model = load_model(vision_fixture(name).string());
    check(name, model, name[0] == 'c' ? made_up_image_texts(model, 8, true) : made_up_images(model, 8));
  }
}

TEST(Finetune, TellsTheTimeWhereTimeEndsIt) {
  struct Told : ProgressSink {
    void begin(std::string_view stage, int64_t count, std::string_view of) override {
      if (stage != "finetune") return;
      total = count;
      unit = of;
    }
    void update(int64_t done) override { last = done; }
    int64_t total = 0, last = 0;
    std::string unit;
  } told;
  const Model model = fixture_model("llama");
  FinetuneOptions options = short_run(100000);
  options.anneal_minutes = 0.05;
  const FinetuneResult tuned = finetune(model, plan_uniform(model, "gguf:q4_0"), {}, made_up_training(16),
                                        made_up_training(8, 100), options, &told);
  EXPECT_EQ(tuned.trained.stopped, "annealed");
  EXPECT_EQ(told.unit, "seconds");
  EXPECT_EQ(told.total, 3);
  EXPECT_EQ(told.last, 3);
}

TEST(Finetune, ExportsTheBytesThatWereTrained) {
  const Model model = fixture_model("llama");
  const Plan plan = plan_uniform(model, "gguf:q4_0");
  const TrainingData held_out = made_up_training(16, 100);
  const FinetuneResult tuned = finetune(model, plan, {}, made_up_training(64), held_out, short_run(20));
  const QuantizedModel written = quantize(tuned.model, {}, finetuned_plan(plan), 1);
  for (const TensorId& id : model.tensors()) {
    EXPECT_TRUE(at::equal(written.values(id), tuned.model.weight(id))) << name_of(id);
    if (!is_matrix(id.role)) continue;
    EXPECT_TRUE(at::equal(written.stored(id).bytes(), tuned.model.stored(id)->bytes())) << name_of(id);
    EXPECT_EQ(written.schemes().at(id), tuned.model.stored(id)->scheme());
  }
  // What validation saw while it trained is what these bytes say.
  double best = 1e9;
  for (const FinetunePoint& point : tuned.trained.points) best = std::min(best, point.validation.worst_kl_nats());
  EXPECT_EQ(evaluate_finetuned(model, tuned.model, held_out, short_run(1)).worst_kl_nats(), best);
  EXPECT_EQ(tuned.trained.best, best);
}

TEST(Finetune, ScalesLearnToo) {
  const Model model = fixture_model("llama");
  const Plan plan = plan_uniform(model, "int2:g32:asym", "huggingface");
  FinetuneOptions options = short_run(40);
  options.learn_scales = true;
  const FinetuneResult tuned = finetune(model, plan, {}, made_up_training(64), made_up_training(32, 100), options);
  EXPECT_LT(tuned.trained.best, 0.7 * tuned.trained.points[0].validation.worst_kl_nats());
  const QuantizedModel written = quantize(tuned.model, {}, finetuned_plan(plan), 1);
  for (const TensorId& id : model.matrices())
    EXPECT_TRUE(at::equal(written.values(id), tuned.model.weight(id))) << name_of(id);
}

/// Codes of several weights, looked for between steps, with scales that learn and without; a K-quant beside them.
TEST(Finetune, CodebooksLearn) {
  const Model model = load_model((source_dir() / "models/demo-5m").string());
  Plan plan = plan_uniform(model, "gguf:q8_0");
  for (PlanEntry& entry : plan.entries)
    if (entry.layer == 2)
      entry.scheme = entry.role == "attn_v" ? "gguf:q3_k" : entry.role == "ffn_down" ? "gguf:iq3_s" : "gguf:iq2_xxs";
  for (const double scale_rate : {0.0, 0.05}) {
    FinetuneOptions options = short_run(12);
    options.batch = 4;
    options.evaluate_steps = 12;
    options.warm_up_steps = 1;
    options.refit_steps = 0;
    options.recode_steps = 1;
    options.level_rate = 0.02;
    options.scale_rate = scale_rate;
    const FinetuneResult tuned = finetune(model, plan, {}, made_up_training(16), made_up_training(6, 100), options);
    EXPECT_LT(tuned.trained.best, 0.97 * tuned.trained.points[0].validation.worst_kl_nats()) << scale_rate;
    const QuantizedModel written = quantize(tuned.model, {}, finetuned_plan(plan), 1);
    for (const TensorId& id : model.matrices())
      EXPECT_TRUE(at::equal(written.values(id), tuned.model.weight(id))) << name_of(id);
  }
}

TEST(Finetune, TheControlIsTrainedAlikeWithoutRounding) {
  const Model model = fixture_model("llama");
  FinetuneOptions options = short_run(10);
  options.control = true;
  options.loss = "cross-entropy";
  options.objective = "mean-nll";
  const FinetuneResult tuned =
      finetune(model, plan_uniform(model, "gguf:q8_0"), {}, made_up_training(64), made_up_training(32, 100), options);
  ASSERT_TRUE(tuned.control && tuned.control_model);
  EXPECT_EQ(tuned.control->points[0].validation.all.kl_nats.mean, 0.0);
  EXPECT_GT(tuned.control->points[1].validation.all.kl_nats.mean, 0.0);
  EXPECT_EQ(tuned.control_model->matrices().size(), model.matrices().size());
  for (const TensorId& id : model.matrices()) EXPECT_EQ(tuned.control_model->stored(id), nullptr);
  // Where checkpoints are chosen by the distance to full precision, by which the control could only lose.
  options.objective = "worst-kl";
  const FinetuneResult by_distance =
      finetune(model, plan_uniform(model, "gguf:q8_0"), {}, made_up_training(64), made_up_training(32, 100), options);
  EXPECT_GT(by_distance.control->best_step, 0);
  EXPECT_GT(by_distance.control->best, 0) << "a loss";
  EXPECT_EQ(by_distance.trained.objective, options.objective);
  EXPECT_EQ(by_distance.control->objective, "worst-nll");
}

TEST(Finetune, EveryRecipeRuns) {
  const Model model = fixture_model("mixtral");
  const Plan plan = plan_uniform(model, "gguf:q4_0");
  for (const char* weighting : {"none", "group", "group-dro", "cvar"}) {
    for (const char* sampling : {"uniform", "balanced", "square-root", "worst-first"}) {
      FinetuneOptions options = short_run(2);
      options.weighting = weighting;
      options.sampling = sampling;
      options.loss = "both";
      options.accumulate = 2;
      const FinetuneResult tuned = finetune(model, plan, {}, made_up_training(32), made_up_training(8, 100), options);
      EXPECT_EQ(tuned.trained.points.back().step, 2) << weighting << " " << sampling;
      EXPECT_EQ(tuned.trained.points.back().validation.groups.size(), 3U);
    }
  }
}

TEST(Finetune, ClassifiersOfImagesLearn) {
  const Model model = load_model(vision_fixture("vit").string());
  const Plan plan = plan_uniform(model, "int2:channel:asym", "huggingface");
  FinetuneOptions options = short_run(40);
  options.weighting = "class";
  const TrainingData images = made_up_images(model, 64);
  const FinetuneResult tuned = finetune(model, plan, {}, images, images, options);
  EXPECT_LT(tuned.trained.best, 0.5 * tuned.trained.points[0].validation.worst_kl_nats());
  for (const TensorId& id : model.matrices()) EXPECT_NE(tuned.model.stored(id), nullptr) << name_of(id);
}

TEST(Finetune, ActivationsAreRoundedWhileItLearns) {
  const Model model = fixture_model("llama");
  const Plan plan = plan_uniform(model, "int2:g32:asym", "huggingface");
  const EvaluationData windows = made_up_windows(8, 24, 320);
  for (const char* name : {"int4:token", "int4:tensor"}) {
    FinetuneOptions options = short_run(40);
    options.activations = Activations::parse(name);
    options.ranges = activation_ranges(calibrate(model, windows));
    const TrainingData held_out = made_up_training(32, 100);
    EXPECT_GT(evaluate_finetuned(model, model, held_out, options).all.kl_nats.mean, 0) << name;
    const FinetuneResult tuned = finetune(model, plan, {}, made_up_training(64), held_out, options);
    EXPECT_LT(tuned.trained.best, 0.8 * tuned.trained.points[0].validation.worst_kl_nats()) << name;
    EXPECT_EQ(evaluate_finetuned(model, tuned.model, held_out, options).worst_kl_nats(), tuned.trained.best) << name;
  }
}

TEST(Finetune, SeveralModelsAreMeasuredAsEachAlone) {
  const Model model = fixture_model("llama");
  Plan plan = plan_uniform(model, "int3:g32:asym", "huggingface");
  plan.method = "nearest";
  const Model rounded = quantize(model, {}, plan, 1).in_memory();
  const TrainingData held_out = made_up_training(20, 100);
  FinetuneOptions options = short_run(1);
  const Activations four_bits = Activations::parse("int4:token");
  const std::vector<FinetuneEvaluation> all =
      evaluate_finetuned(model, {{&model}, {&rounded}, {&model, four_bits}, {&rounded, four_bits}}, held_out, options);
  ASSERT_EQ(all.size(), 4U);
  EXPECT_EQ(all[0].all.kl_nats.mean, 0);
  for (size_t i = 0; i < all.size(); ++i) {
    options.activations = i < 2 ? Activations::kExact : four_bits;
    const FinetuneEvaluation alone = evaluate_finetuned(model, i % 2 == 0 ? model : rounded, held_out, options);
    EXPECT_EQ(all[i].examples.kl_nats, alone.examples.kl_nats) << i;
    EXPECT_EQ(finetune_evaluation_to_json(all[i]).dump(), finetune_evaluation_to_json(alone).dump()) << i;
  }
}

TEST(Finetune, BeginsWithWhatASearchFound) {
  const Model model = fixture_model("llama");
  const EvaluationData windows = made_up_windows(16, 24, 320);
  const Calibration calibration = calibrate(model, windows);
  for (const auto& [scheme, target] : {std::pair("int3:g32:asym", "huggingface"), std::pair("gguf:q4_1", "llama.cpp")})
    for (const int scales : {0, 1, 2}) {
      const Plan plan = plan_uniform(model, scheme, target);
      Plan searched = plan;
      searched.method = "auto";
      const Model start = quantize(model, calibration, searched, 1).in_memory();
      FinetuneOptions options = short_run(1);
      options.learning_rate = 1e-12;
      options.learn_scales = scales == 1;
      options.level_rate = scales == 2 ? 1e-12 : 0;
      options.scale_rate = scales == 2 ? 1 : 0;
      const TrainingData held_out = made_up_training(8, 100);
      const FinetuneResult tuned = finetune(model, plan, {}, made_up_training(16), held_out, options, nullptr, &start);
      EXPECT_EQ(tuned.trained.points[0].validation.worst_kl_nats(),
                evaluate_finetuned(model, start, held_out, options).worst_kl_nats());
      for (const TensorId& id : model.matrices())
        EXPECT_TRUE(at::equal(tuned.model.weight(id), start.weight(id))) << name_of(id);
    }
}

TEST(Finetune, OnlySomeTensorsLearn) {
  const Model model = fixture_model("llama");
  const Plan plan = plan_uniform(model, "int2:g32:asym", "huggingface");
  FinetuneOptions options = short_run(20);
  options.only = "ffn_";
  const FinetuneResult tuned = finetune(model, plan, {}, made_up_training(16), made_up_training(8, 100), options);
  Plan nearest = plan;
  nearest.method = "nearest";
  const Model rounded = quantize(model, {}, nearest, 1).in_memory();
  for (const TensorId& id : model.tensors()) {
    const bool learns = name_of(id).find("ffn_") != std::string::npos;
    EXPECT_EQ(at::equal(tuned.model.weight(id), rounded.weight(id).to(at::kFloat)), !learns) << name_of(id);
  }
}

// Without labels a full-precision model has nothing to learn from itself.
TEST(Finetune, TheControlOfDistillationIsTheModel) {
  const Model model = fixture_model("llama");
  FinetuneOptions options = short_run(4);
  options.control = true;
  const FinetuneResult tuned =
      finetune(model, plan_uniform(model, "gguf:q8_0"), {}, made_up_training(16), made_up_training(8, 100), options);
  EXPECT_EQ(tuned.control->stopped, "nothing to learn");
  for (const TensorId& id : model.tensors())
    EXPECT_TRUE(at::equal(tuned.control_model->weight(id), model.weight(id).to(at::kFloat))) << name_of(id);
}

TEST(Finetune, ModelsOfImagesAndTextsLearn) {
  const Model model = load_model(vision_fixture("clip").string());
  const Plan plan = plan_uniform(model, "int3:channel:asym", "huggingface");
  for (const char* loss : {"distillation", "contrastive", "contrastive-features"})
    for (const bool captions : {false, true}) {
      const TrainingData pairs = made_up_image_texts(model, 32, captions);
      FinetuneOptions options = short_run(20);
      options.loss = loss;
      options.patch_dropout = captions ? 0.25 : 0;
      options.activations = Activations::parse("int8:token");
      options.objective = std::string(loss) == "contrastive" ? "mean-nll" : "mean-kl";
      const FinetuneResult tuned = finetune(model, plan, {}, pairs, pairs, options);
      const auto& points = tuned.trained.points;
      EXPECT_LT(points.back().training_loss, points[1].training_loss) << loss;
      if (std::string(loss) == "distillation") {
        EXPECT_LT(tuned.trained.best, 0.7 * points[0].validation.all.kl_nats.mean);
      }
      for (const TensorId& id : model.matrices()) EXPECT_NE(tuned.model.stored(id), nullptr) << name_of(id);
    }
}

TEST(Finetune, PatienceEndsARun) {
  const Model model = fixture_model("llama");
  FinetuneOptions options = short_run(100);
  options.learning_rate = 1e-9;  // nothing gets better
  options.refit_steps = 0;
  options.evaluate_steps = 2;
  options.patience = 3;
  const FinetuneResult tuned =
      finetune(model, plan_uniform(model, "gguf:q4_0"), {}, made_up_training(16), made_up_training(8, 100), options);
  EXPECT_EQ(tuned.trained.stopped, "patience");
  EXPECT_LT(tuned.trained.points.back().step, 100);
}

TEST(Finetune, RefusesWhatCannotBeMeant) {
  const Model model = fixture_model("llama");
  const Plan plan = plan_uniform(model, "gguf:q4_0");
  const auto with = [&](auto&& change) {  // before there is anything to train
    FinetuneOptions options = short_run(2);
    change(options);
    check_finetune(model, made_up_training(16), options);
  };
  const auto trained_with = [&](auto&& change) {
    FinetuneOptions options = short_run(2);
    change(options);
    finetune(model, plan, {}, made_up_training(16), made_up_training(8, 100), options);
  };
  const ErrorKind kind = ErrorKind::kInvalidArgument;
  expect_error(kind, {"learning rate"}, [&] { with([](FinetuneOptions& o) { o.learning_rate = 0; }); });
  expect_error(kind, {"no loss", "distillation"}, [&] { with([](FinetuneOptions& o) { o.loss = "hinge"; }); });
  expect_error(kind, {"no objective", "worst-kl"}, [&] { with([](FinetuneOptions& o) { o.objective = "best"; }); });
  expect_error(kind, {"--kernel-attention", "GPU"}, [&] {
    with([](FinetuneOptions& o) {
      o.compute.type = ComputeType::kBFloat16;
      o.kernel_attention = true;
    });
  });
  expect_error(kind, {"labelled images"}, [&] { with([](FinetuneOptions& o) { o.weighting = "class"; }); });
  expect_error(kind, {"lower --learning-rate"},
               [&] { trained_with([](FinetuneOptions& o) { o.learning_rate = 1e30; }); });
  TrainingData foreign = made_up_training(16);
  foreign.windows[3].tokens[2] = 320;
  expect_error(kind, {"wrong tokenizer"}, [&] { finetune(model, plan, {}, foreign, foreign, short_run(1)); });
  expect_error(kind, {"--loss contrastive", "images and texts"},
               [&] { with([](FinetuneOptions& o) { o.loss = "contrastive"; }); });
  expect_error(kind, {"--only", "names none"}, [&] { with([](FinetuneOptions& o) { o.only = "nothing"; }); });
  expect_error(kind, {"patches left out"}, [&] { with([](FinetuneOptions& o) { o.patch_dropout = 1; }); });
  expect_error(kind, {"--patch-dropout", "texts"}, [&] { with([](FinetuneOptions& o) { o.patch_dropout = 0.5; }); });
  expect_error(kind, {"comes to inf"}, [&] {
    with([](FinetuneOptions& o) { o.final_feature_weight = std::numeric_limits<double>::infinity(); });
  });
  expect_error(kind, {"falls to 0"}, [&] { with([](FinetuneOptions& o) { o.final_rate = 0; }); });
  expect_error(kind, {"dampening", "--level-rate"}, [&] { trained_with([](FinetuneOptions& o) { o.dampening = 1; }); });
  expect_error(kind, {"no sampling", "balanced"}, [&] { with([](FinetuneOptions& o) { o.sampling = "even"; }); });
  expect_error(kind, {"no decay", "cosine"}, [&] { with([](FinetuneOptions& o) { o.decay = "linear"; }); });
  expect_error(kind, {"--oversample", "rare"}, [&] { with([](FinetuneOptions& o) { o.oversample = {{"none", 2}}; }); });
  expect_error(ErrorKind::kUnsupported, {"int8:token"},
               [&] { with([](FinetuneOptions& o) { o.activations = Activations::kLlamaCpp; }); });
  expect_error(kind, {"no range"},
               [&] { trained_with([](FinetuneOptions& o) { o.activations = Activations::parse("int8:tensor"); }); });
}

}  // namespace
}  // namespace vernier
