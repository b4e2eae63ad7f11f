// A model that is quantized already: what it stores is kept or spent, and never called full precision.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/json.h"
#include "base/output_file.h"
#include "cli/cli.h"
#include "support/models.h"
#include "support/scratch.h"
#include "support/small_tokenizer.h"
#include "vernier/export.h"
#include "vernier/planning.h"

namespace vernier {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

class QuantizedSource : public ::testing::Test {
 protected:
  fs::path work_ = scratch_path("vernier_quantized_source");
  std::string source_ = (work_ / "source.gguf").string(), text_ = (work_ / "text.txt").string();

  void SetUp() override {
    fs::remove_all(work_);
    fs::create_directories(work_);
    const std::string text = read_file(source_dir() / "data/builtin/evaluation.txt");
    write_file(text_, text.substr(0, text.rfind('\n', 2000) + 1));
    const Model model = fixture_model("llama");
    export_model(find_target("llama.cpp"),
                 quantize(model, calibrate(model, made_up_windows(2, 16, 300)), plan_uniform(model, "gguf:q4_1"), 1),
                 small_tokenizer(), source_);
  }
  void TearDown() override { fs::remove_all(work_); }

  int run(const std::vector<std::string>& arguments) {
    std::vector<const char*> argv{"vernier", "--quiet"};
    for (const std::string& a : arguments) argv.push_back(a.c_str());
    ::testing::internal::CaptureStderr();
    ::testing::internal::CaptureStdout();
    const int code = run_cli(static_cast<int>(argv.size()), argv.data());
    said_ = ::testing::internal::GetCapturedStderr();
    printed_ = ::testing::internal::GetCapturedStdout();
    return code;
  }
  int run_with(uint64_t budget, const fs::path& out) {
    return run({"run", source_, "--budget", std::to_string(budget), "--context", "64", "--windows", "2", "--data",
                text_, "--calibration-text", text_, "--calibration-windows", "2", "--diagnose-windows", "1", "-o",
                out.string()});
  }
  std::string said_, printed_;
};

TEST_F(QuantizedSource, ItselfIsWhatABudgetOfItsSizeGives) {
  const fs::path out = work_ / "out";
  ASSERT_EQ(run_with(fs::file_size(source_), out), 0) << said_;
  EXPECT_THAT(said_, HasSubstr("source.gguf is quantized already"));
  EXPECT_THAT(said_, HasSubstr("fits the budget"));
  EXPECT_EQ(read_file(out / "model.gguf"), read_file(source_));
  EXPECT_FALSE(fs::equivalent(out / "model.gguf", source_)) << "a copy: the source stays the user's own";
  const Json reference = read_json(out / "evaluation.json")["rows"][0];
  EXPECT_EQ(reference["label"], "source (Q4_1)");
  EXPECT_EQ(reference["bytes"], fs::file_size(source_));
  EXPECT_EQ(read_json(out / "plan.json")["label"], "source (Q4_1)");
  EXPECT_THAT(printed_,
              HasSubstr("values of uniform gguf:q4_1 and planned are searched by auto, of others by importance"))
      << "those of the source, which is chosen, are not";
  EXPECT_THAT(printed_, Not(HasSubstr("was foretold"))) << "no damage at all";
}

TEST_F(QuantizedSource, KeepsWhatFitsAndPaysOnlyForTheRest) {
  const fs::path out = work_ / "out";
  const uint64_t budget = fs::file_size(source_) - load_model(source_).stored_bytes() * 6 / 100;
  ASSERT_EQ(run_with(budget, out), 0) << said_;
  EXPECT_LE(fs::file_size(out / "model.gguf"), budget);
  EXPECT_THAT(printed_, HasSubstr("the plan was foretold "));
  EXPECT_GT(read_json(out / "evaluation.json")["rows"].back()["foretold_kl_nats"], 0);
  const Plan plan = plan_from_json(read_json(out / "work/planned.json"), "planned.json");
  const Model source = load_model(source_), planned = load_model((out / "work/planned.gguf").string());
  int kept = 0;
  const std::vector<TensorId> ids = tensors_of(plan, source);
  for (size_t i = 0; i < ids.size(); ++i) {
    const PlanEntry& entry = plan.entries[i];
    if (entry.scheme != "gguf:q4_1") continue;
    ++kept;
    EXPECT_EQ(entry.damage, 0) << entry.tensor;
    EXPECT_TRUE(at::equal(planned.stored(ids[i])->bytes(), source.stored(ids[i])->bytes())) << entry.tensor;
  }
  EXPECT_GT(kept, 0);
}

}  // namespace
}  // namespace vernier
