#include "vernier/refine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "support/expect_error.h"
#include "support/models.h"
#include "vernier/evaluate.h"
#include "vernier/quantize.h"

namespace vernier {
namespace {

/// demo-5m with the damage of an exact diagnosis on few windows.
class Refine : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { shared_ = new Shared; }
  static void TearDownTestSuite() { delete shared_; }

  static Refinement refined(const DamageTable& table, int64_t exchanges) {
    return refine(shared_->model, shared_->tokenizer, shared_->calibration, shared_->data, table,
                  {.budget = "+10%", .exchanges = exchanges});
  }
  static Plan plan_of(const DamageTable& table) {
    return plan_within(shared_->model, shared_->tokenizer, table, "+10%");
  }
  static Model made(const Plan& plan) {
    return quantize(shared_->model, shared_->calibration, plan, 2).in_memory(nullptr);
  }
  static double kl_of(const Plan& plan, size_t first) {
    EvaluationData half = shared_->data;
    half.windows.clear();
    for (size_t i = first; i < shared_->data.windows.size(); i += 2) half.windows.push_back(shared_->data.windows[i]);
    const Model quantized = made(plan);
    return evaluate({&quantized}, &shared_->model, half)[0].all.kl().mean;
  }

  struct Shared {
    std::string path = (source_dir() / "models/demo-5m").string();
    Model model = load_model(path);
    TokenizerModel tokenizer = load_tokenizer_of(path);
    EvaluationData data = made_up_windows(6, 48, model.config().vocabulary);
    Calibration calibration = calibrate(model, data);
    DamageTable table = [&] {
      DiagnoseOptions options = planning_diagnosis();
      options.kinds = {ComponentKind::kTensor, ComponentKind::kEmbed, ComponentKind::kLmHead};
      options.joint = false;
      return damage_table(model, diagnose(model, calibration, data, options));
    }();
  };
  static Shared* shared_;
};
Refine::Shared* Refine::shared_ = nullptr;

TEST_F(Refine, ExchangesAreMeasuredInTheQuantizedModel) {
  const Refinement r = refined(shared_->table, 6);
  ASSERT_EQ(r.exchanges.size(), 6u);
  const Plan plan = plan_of(shared_->table);
  const MeasuredExchange& e = r.exchanges.back();
  Plan changed = plan;
  const auto entry = std::ranges::find(changed.entries, name_of(e.tensors.at(0)), &PlanEntry::tensor);
  ASSERT_NE(entry, changed.entries.end());
  EXPECT_EQ(entry->scheme, e.from);
  entry->scheme = e.to;
  // The same forward passes, several models at once: as far as float32 sums go.
  EXPECT_NEAR(e.measured, kl_of(changed, 0) - kl_of(plan, 0), 1e-6);
  const auto& kl = shared_->table.kl.at(e.tensors.at(0));
  EXPECT_DOUBLE_EQ(e.foretold, kl.at(e.to) - kl.at(e.from));
  EXPECT_NEAR(r.before.mean, kl_of(plan, 1), 1e-6);
}

TEST_F(Refine, AMatrixWhoseDamageWasForetoldTooSmallGetsItsBitsBack) {
  DamageTable wrong = shared_->table;
  // The dearest matrix of the layers, said to hurt a hundredth of what it does: only who asks about all will find out.
  TensorId dearest;
  double most = 0;
  for (const auto& [id, kl] : wrong.kl)
    if (id.layer >= 0 && kl.at("gguf:q2_k") > most) most = kl.at("gguf:q2_k"), dearest = id;
  for (auto& [scheme, value] : wrong.kl.at(dearest)) value /= 100;
  const auto bytes_in = [&](const DamageTable& table) {
    const Plan plan = plan_of(table);
    return std::ranges::find(plan.entries, name_of(dearest), &PlanEntry::tensor)->bytes;
  };
  ASSERT_LT(bytes_in(wrong), bytes_in(shared_->table)) << "the forecast must be wrong enough to say something";
  const Refinement r = refined(wrong, 100);
  EXPECT_TRUE(r.kept);
  EXPECT_GT(r.changed, 0);
  EXPECT_GT(bytes_in(r.table), bytes_in(wrong));
  EXPECT_LT(kl_of(plan_of(r.table), 1), kl_of(plan_of(wrong), 1));
}

TEST_F(Refine, ATableThatLeadsToNothingBetterStaysAsItWas) {
  const Refinement r = refined(shared_->table, 0);
  EXPECT_EQ(r.changed, 0);
  EXPECT_FALSE(r.kept);
  EXPECT_EQ(r.table.kl, shared_->table.kl);
  EXPECT_EQ(r.before.mean, r.after.mean);
}

TEST_F(Refine, ComesBackFromJson) {
  const Refinement r = refined(shared_->table, 4);
  const nlohmann::ordered_json json = refinement_to_json(r);
  EXPECT_EQ(refinement_to_json(refinement_from_json(json, "refinement.json")), json);
  nlohmann::ordered_json bad = json;
  bad["exchanges"][0]["tensors"][0] = "nothing";
  expect_error(ErrorKind::kBadFile, {"refinement.json"}, [&] { refinement_from_json(bad, "refinement.json"); });
}

TEST_F(Refine, OneWindowCannotMeasureAndJudge) {
  EvaluationData one = shared_->data;
  one.windows.resize(1);
  expect_error(ErrorKind::kInvalidArgument, {"refine", "at least two"},
               [&] { refine(shared_->model, shared_->tokenizer, shared_->calibration, one, shared_->table); });
}

}  // namespace
}  // namespace vernier
