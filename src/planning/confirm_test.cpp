#include "vernier/confirm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "support/expect_error.h"
#include "support/models.h"

namespace vernier {
namespace {

/// demo-5m with the damage of an exact diagnosis on few windows, and forecasts made of it.
class Confirm : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    shared_ = new Shared;
    DiagnoseOptions options = planning_diagnosis();
    options.kinds = {ComponentKind::kTensor, ComponentKind::kEmbed, ComponentKind::kLmHead};
    options.joint = false;
    shared_->exact =
        damage_table(shared_->model, diagnose(shared_->model, shared_->calibration, shared_->data, options));
  }
  static void TearDownTestSuite() { delete shared_; }

  /// The truth times exp(normal(log_mean, log_spread)) for each matrix.
  static DamageTable forecast(double log_mean, double log_spread) {
    DamageTable table = shared_->exact;
    std::mt19937_64 random(11);
    std::normal_distribution<double> error(log_mean, 1);
    for (auto& [id, kl] : table.kl) {
      const double factor = std::exp(log_mean + log_spread * (error(random) - log_mean));
      for (auto& [scheme, value] : kl) value *= factor;
    }
    return table;
  }

  static Confirmation confirmed(const DamageTable& table, const ConfirmOptions& options) {
    return confirm(shared_->model, shared_->tokenizer, shared_->calibration, shared_->data, table, options);
  }

  /// What a plan really costs.
  static double true_kl(const Plan& plan) {
    double kl = 0;
    for (const PlanEntry& e : plan.entries) kl += shared_->exact.kl.at(parse_tensor(e.tensor)).at(e.scheme);
    return kl;
  }
  static Plan plan_of(const DamageTable& table) {
    return plan_within(shared_->model, shared_->tokenizer, table, "+10%");
  }

  struct Shared {
    std::string path = (source_dir() / "models/demo-5m").string();
    Model model = load_model(path);
    TokenizerModel tokenizer = load_tokenizer_of(path);
    EvaluationData data = made_up_windows(4, 48, model.config().vocabulary);
    Calibration calibration = calibrate(model, data);
    DamageTable exact;
  };
  static Shared* shared_;
};
Confirm::Shared* Confirm::shared_ = nullptr;

TEST_F(Confirm, AForecastThatIsOffByOneFactorNeedsTheSampleAlone) {
  const Confirmation c = confirmed(forecast(std::log(3.0), 0), {.sample = 4});
  EXPECT_TRUE(c.complete);
  EXPECT_EQ(c.control_kl, 0);
  // Windows taken in another order and stacked otherwise: rounding, and what settles before all windows are used.
  EXPECT_NEAR(c.factor, 1 / 3.0, 0.05);
  EXPECT_EQ(std::count_if(c.matrices.begin(), c.matrices.end(),
                          [](const ConfirmedMatrix& m) { return m.why == ConfirmedMatrix::Why::kSample; }),
            4);
  for (const ConfirmedMatrix& m : c.matrices) {
    EXPECT_GT(m.windows, 0);
    EXPECT_LE(m.low, m.exact.mean);
    EXPECT_GE(m.high, m.exact.mean);
  }
}

TEST_F(Confirm, MeasuringMendsThePlanOfAWrongForecast) {
  const DamageTable wrong = forecast(0, 1);
  const Confirmation c = confirmed(wrong, {.sample = 4});
  const double best = true_kl(plan_of(shared_->exact)), before = true_kl(plan_of(wrong)),
               after = true_kl(plan_of(c.table));
  EXPECT_GT(before, 1.1 * best) << "the forecast must be wrong enough for the test to say something";
  EXPECT_LT(after - best, 0.4 * (before - best));
  EXPECT_LE(c.doubt, 0.01 * plan_of(c.table).predicted_kl_nats + 1e-12);
  EXPECT_LT(c.matrices.size(), shared_->model.matrices().size()) << "not everything has to be measured";
}

TEST_F(Confirm, EndsWithAnHonestResultWhenTimeIsUp) {
  int asked = 0;
  const Confirmation c = confirmed(forecast(0, 1), {.sample = 4, .may_go_on = [&](double share) {
                                                      EXPECT_GT(share, 0);
                                                      EXPECT_LE(share, 1);
                                                      return ++asked <= 2;
                                                    }});
  EXPECT_FALSE(c.complete);
  EXPECT_GT(c.doubt, 0);
  EXPECT_FALSE(c.matrices.empty());
  const Confirmation back = confirmation_from_json(confirmation_to_json(c), "confirmation.json");
  EXPECT_EQ(confirmation_to_json(back), confirmation_to_json(c));
  EXPECT_FALSE(back.complete);
}

TEST_F(Confirm, AForecastThatLeavesAMatrixOutIsRefused) {
  DamageTable table = shared_->exact;
  table.kl.erase({TensorRole::kFfnUp, 2});
  expect_error(ErrorKind::kInvalidArgument, {"L2.ffn_up"}, [&] { confirmed(table, {}); });
}

}  // namespace
}  // namespace vernier
