// A run that is killed and started again ends in the bytes of one that was not.

#include <gtest/gtest.h>

#include "base/output_file.h"
#include "finetune/checkpoint_file.h"
#include "support/cancelling_sink.h"
#include "support/expect_error.h"
#include "support/scratch.h"
#include "support/training_data.h"
#include "support/vision_models.h"
#include "vernier/planning.h"
#include "vernier/quantize.h"

namespace vernier {
namespace {

struct ResumedRecipe {
  const char* name;
  const char* scheme;
  const char* model;
  void (*change)(FinetuneOptions& options);
};
constexpr ResumedRecipe kResumed[] = {
    {"Fitted", "gguf:q4_0", "llama", [](FinetuneOptions&) {}},
    {"Learned", "int3:g32:asym", "llama",
     [](FinetuneOptions& o) {
       o.learn_scales = true;
       o.activations = Activations::parse("int8:token");
     }},
    {"Band", "int4:g32:asym", "llama",
     [](FinetuneOptions& o) {
       o.singular_band = 1;
       o.drop_bits = 0.3;
       o.only = "L0|norm";
     }},
    {"Averaged", "gguf:q2_k", "wide llama",
     [](FinetuneOptions& o) {
       o.learn_scales = true;
       o.average = 0.8;
       o.resample = 0.2;
       o.level_rate = 0.003;
     }},
    {"Kept", "int3:g32:asym", "llama",
     [](FinetuneOptions& o) {
       o.sampling = "worst-first";
       o.oversample = {{"rare", 2}};
       o.resample = 0.2;
       o.keep_answers = 10;
     }},
    {"DrawnAhead", "int3:g32:asym", "llama",
     [](FinetuneOptions& o) {
       o.resample = 0.4;
       o.draw_ahead = true;
     }},
    {"Bfloat16", "int3:g32:asym", "llama",
     [](FinetuneOptions& o) {
       o.compute.type = ComputeType::kBFloat16;
       o.resample = 0.2;
     }},
    {"Fisher", "int3:g32:asym", "llama",
     [](FinetuneOptions& o) {
       o.loss = "distillation-fisher";
       o.feature_weight = 8;
       o.final_feature_weight = 1;
       o.sampling = "worst-first";  // of which a run that goes on knows more than one that begins
     }},
    {"Images", "int3:channel:asym", "vit",
     [](FinetuneOptions& o) {
       o.shift = 2;
       o.mirror = true;
       o.cutmix = 0.5;
       o.patch_dropout = 0.5;
     }},
    {"InPlace", "gguf:q3_k", "wide llama",
     [](FinetuneOptions& o) {
       o.average = 0.8;
       o.level_rate = 0.003;
       o.scale_rate = 1;
       o.dampening = 1;
       o.final_rate = 0.1;
     }},
    {"Codebook", "gguf:iq2_xs", "wide llama",
     [](FinetuneOptions& o) {
       o.average = 0.8;
       o.level_rate = 0.003;
       o.scale_rate = 1;
       o.recode_steps = 7;
     }},
};

class FinetuneResume : public ::testing::TestWithParam<ResumedRecipe> {
 protected:
  FinetuneResume() {
    options_.steps = 24;
    options_.batch = 4;
    options_.warm_up_steps = 3;
    options_.evaluate_steps = 4;
    options_.refit_steps = 5;
    options_.sampling = "balanced";
    options_.weighting = "group-dro";
    options_.compute.threads = 1;
    GetParam().change(options_);
    std::filesystem::remove_all(folder_);
  }
  ~FinetuneResume() override { std::filesystem::remove_all(folder_); }
  TrainingData learned() const { return sees() ? made_up_images(model_, 32) : made_up_training(32); }
  TrainingData watched() const { return sees() ? made_up_images(model_, 8) : made_up_training(8, 100); }
  static bool sees() { return GetParam().model == std::string("vit"); }
  static Model model() {
    if (sees()) return load_model(vision_fixture("vit").string());
    return GetParam().model == std::string("llama") ? fixture_model("llama")
                                                    : widened_model("llama", 4);  // blocks of 256 take rows as long
  }
  FinetuneResult run(ProgressSink* progress = nullptr) const {
    return finetune(model_, plan_, {}, learned(), watched(), options_, progress);
  }

  const std::filesystem::path folder_ = scratch_path("finetune_resume");
  const Model model_ = model();
  const Plan plan_ = plan_uniform(model_, GetParam().scheme,
                                  std::string(GetParam().scheme).starts_with("gguf") ? "llama.cpp" : "huggingface");
  FinetuneOptions options_;
};

TEST_P(FinetuneResume, EndsInTheSameBytesWhereverItIsKilled) {
  for (const auto& [id, scheme] : schemes_of(plan_, model_))
    ASSERT_EQ(scheme.name(), GetParam().scheme) << name_of(id) << ": nothing stands in for it";
  const FinetuneResult whole = run();
  options_.work = folder_;
  for (const int allowed : {2, 9, 7}) {  // steps that each attempt may take: killed at steps 3, 10 and again 15
    CancellingSink sink(allowed);
    EXPECT_THROW(run(&sink), Cancelled);
  }
  const FinetuneResult resumed = run();
  EXPECT_EQ(model_hash(resumed.model), model_hash(whole.model));
  EXPECT_EQ(finetune_curve_to_json(resumed.trained).dump(), finetune_curve_to_json(whole.trained).dump());
  EXPECT_EQ(model_hash(run().model), model_hash(whole.model)) << "a finished one is not trained again";
}

TEST_P(FinetuneResume, MinutesEndARunThatCanGoOn) {
  const FinetuneResult whole = run();
  options_.work = folder_;
  options_.max_minutes = 1e-9;
  EXPECT_EQ(run().trained.stopped, "minutes");
  options_.max_minutes = 0;
  EXPECT_EQ(model_hash(run().model), model_hash(whole.model));
}

TEST_P(FinetuneResume, ACheckpointOfSomethingElseIsRefused) {
  options_.work = folder_;
  run();
  const auto check = [&] { check_resumption(model_, plan_, {}, watched(), options_); };
  EXPECT_NO_THROW(check());
  options_.seed = 9;
  expect_error(ErrorKind::kInvalidArgument, {"another model, plan, data or options"}, check);
  expect_error(ErrorKind::kInvalidArgument, {"another model, plan, data or options"}, [&] { run(); });
  options_.seed = FinetuneOptions().seed;
  const std::optional<CheckpointFile> whole = read_checkpoint(folder_ / "checkpoint.safetensors");
  for (const char* kind : {"weight.", "fitted.", "best.", "first."}) {
    CheckpointFile damaged = *whole;
    const auto found = damaged.tensors.lower_bound(kind);
    if (found == damaged.tensors.end() || !found->first.starts_with(kind)) continue;  // nothing is fitted
    found->second = at::zeros({3}, found->second.options());
    write_checkpoint(folder_ / "checkpoint.safetensors", damaged);
    expect_error(ErrorKind::kBadFile, {"checkpoint.safetensors"}, [&] { run(); });
  }
  write_file(folder_ / "checkpoint.safetensors", "garbage");
  expect_error(ErrorKind::kBadFile, {"checkpoint.safetensors"}, [&] { run(); });
}

INSTANTIATE_TEST_SUITE_P(Recipes, FinetuneResume, ::testing::ValuesIn(kResumed),
                         [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace vernier
