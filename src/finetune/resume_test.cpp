// A run that is killed and started again ends in the bytes of one that was not.

#include <gtest/gtest.h>

#include "base/output_file.h"
#include "support/cancelling_sink.h"
#include "support/expect_error.h"
#include "support/scratch.h"
#include "support/training_data.h"
#include "vernier/planning.h"
#include "vernier/quantize.h"

namespace vernier {
namespace {

struct ResumedRecipe {
  const char* name;
  const char* scheme;
  bool wide;  ///< blocks of 256 take rows as long
  void (*change)(FinetuneOptions& options);
};
constexpr ResumedRecipe kResumed[] = {
    {"Fitted", "gguf:q4_0", false, [](FinetuneOptions&) {}},
    {"Learned", "int3:g32:asym", false,
     [](FinetuneOptions& o) {
       o.learn_scales = true;
       o.activations = Activations::parse("int8:token");
     }},
    {"Band", "int4:g32:asym", false,
     [](FinetuneOptions& o) {
       o.singular_band = 1;
       o.drop_bits = 0.3;
       o.only = "L0|norm";
     }},
    {"Averaged", "gguf:q2_k", true,
     [](FinetuneOptions& o) {
       o.learn_scales = true;
       o.average = 0.8;
       o.resample = 0.2;
       o.level_rate = 0.003;
     }},
    {"InPlace", "gguf:q3_k", true,
     [](FinetuneOptions& o) {
       o.average = 0.8;
       o.level_rate = 0.003;
       o.scale_rate = 1;
     }},
    {"Codebook", "gguf:iq2_xs", true,
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
    options.steps = 24;
    options.batch = 4;
    options.warm_up_steps = 3;
    options.evaluate_steps = 4;
    options.refit_steps = 5;
    options.sampling = "balanced";
    options.weighting = "group-dro";
    options.compute.threads = 1;
    GetParam().change(options);
    std::filesystem::remove_all(folder);
  }
  ~FinetuneResume() override { std::filesystem::remove_all(folder); }
  FinetuneResult run(ProgressSink* progress = nullptr) const {
    return finetune(model, plan, {}, made_up_training(32), made_up_training(8, 100), options, progress);
  }

  const std::filesystem::path folder = scratch_path("finetune_resume");
  const Model model = GetParam().wide ? widened_model("llama", 4) : fixture_model("llama");
  const Plan plan = plan_uniform(model, GetParam().scheme,
                                 std::string(GetParam().scheme).starts_with("gguf") ? "llama.cpp" : "huggingface");
  FinetuneOptions options;
};

TEST_P(FinetuneResume, EndsInTheSameBytesWhereverItIsKilled) {
  for (const auto& [id, scheme] : schemes_of(plan, model))
    ASSERT_EQ(scheme.name(), GetParam().scheme) << name_of(id) << ": nothing stands in for it";
  const FinetuneResult whole = run();
  options.work = folder;
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
  options.work = folder;
  options.max_minutes = 1e-9;
  EXPECT_EQ(run().trained.stopped, "minutes");
  options.max_minutes = 0;
  EXPECT_EQ(model_hash(run().model), model_hash(whole.model));
}

TEST_P(FinetuneResume, ACheckpointOfSomethingElseIsRefused) {
  options.work = folder;
  run();
  options.seed = 9;
  expect_error(ErrorKind::kInvalidArgument, {"another model, plan, data or options"}, [&] { run(); });
  write_file(folder / "checkpoint.safetensors", "garbage");
  expect_error(ErrorKind::kBadFile, {"checkpoint.safetensors"}, [&] { run(); });
}

INSTANTIATE_TEST_SUITE_P(Recipes, FinetuneResume, ::testing::ValuesIn(kResumed),
                         [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace vernier
