#include "diagnose/measure_until.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/sequential.h"
#include "support/models.h"

namespace vernier {
namespace {

/// Components of every way to restart, one of them the whole model.
std::vector<Component> some_components() {
  std::vector<Component> some;
  for (const char* name : {"embed", "L0.head1", "L0.ffn_down", "L1.kv0", "L1.attn_output"})
    some.push_back(parse_component(name));
  return some;
}

class MeasureUntil : public ::testing::Test {
 protected:
  const Model model_ = fixture_model("llama");
  const EvaluationData data_ = made_up_windows(7, 24, model_.config().vocabulary);
  const Calibration calibration_ = calibrate(model_, data_);
  const DiagnoseOptions options_ = [] {
    DiagnoseOptions options;
    options.scheme = "int3:channel:sym";
    return options;
  }();
  const QuantizedWeights quantized_{model_, calibration_, options_, 1};
};

TEST_F(MeasureUntil, AllWindowsGiveTheDiagnosis) {
  const Diagnosis exact = diagnose(model_, calibration_, data_, options_);
  const auto never = [](const Component&, const ConfidenceInterval&) { return false; };
  const SequentialResult found =
      measure_until(model_, quantized_, sweepable(model_, data_), some_components(), {.first_windows = 2}, never);
  ASSERT_EQ(found.components.size(), some_components().size());
  EXPECT_EQ(found.control_kl, 0);
  for (const SequentialDamage& one : found.components) {
    const ComponentDamage* whole = exact.find(one.damage.component);
    ASSERT_NE(whole, nullptr);
    EXPECT_EQ(one.windows, 7);
    EXPECT_EQ(one.damage.parameters, whole->parameters);
    // The same sums of windows in another order, and windows stacked otherwise: rounding of float32 forwards.
    EXPECT_NEAR(one.damage.kl.mean, whole->kl.mean, 1e-4 * whole->kl.mean) << name_of(one.damage.component);
    EXPECT_NEAR(one.damage.kl.standard_error, whole->kl.standard_error, 1e-3 * whole->kl.standard_error);
    EXPECT_TRUE(one.kl.contains(one.damage.kl.mean));
  }
}

TEST_F(MeasureUntil, WhatIsSettledCostsNoMoreWindows) {
  const Component clear = parse_component("L0.ffn_down");
  int asked = 0;
  const SequentialResult found =
      measure_until(model_, quantized_, sweepable(model_, data_), some_components(), {.first_windows = 2},
                    [&](const Component& c, const ConfidenceInterval& kl) {
                      EXPECT_LE(kl.low, kl.high);
                      ++asked;
                      return c == clear;
                    });
  for (const SequentialDamage& one : found.components)
    EXPECT_EQ(one.windows, one.damage.component == clear ? 2 : 7) << name_of(one.damage.component);
  EXPECT_EQ(asked, 5 + 4 + 4) << "rounds of 2, 2 and 3 windows";
}

TEST_F(MeasureUntil, CopiesOfAWindowTellNothingNew) {
  EvaluationData twice = data_;
  for (size_t w = 0; w < twice.windows.size(); ++w) twice.windows[w] = data_.windows[w % 2];
  const auto never = [](const Component&, const ConfidenceInterval&) { return false; };
  const SequentialResult found =
      measure_until(model_, quantized_, sweepable(model_, twice), some_components(), {.first_windows = 4}, never);
  for (const SequentialDamage& one : found.components) {
    const ConfidenceInterval expected = interval_over_looks(one.damage.kl, 2, 2);
    EXPECT_EQ(one.kl.low, expected.low) << "seven windows, two of them distinct";
    EXPECT_EQ(one.kl.high, expected.high);
  }
}

TEST_F(MeasureUntil, EndsWhenItMayNotGoOn) {
  std::vector<int64_t> work;
  MeasureUntilOptions options{.first_windows = 2};
  options.may_go_on = [&](int64_t component_windows) {
    work.push_back(component_windows);
    return work.size() < 3;
  };
  const SequentialResult found = measure_until(model_, quantized_, sweepable(model_, data_), some_components(), options,
                                               [](const Component&, const ConfidenceInterval&) { return false; });
  EXPECT_THAT(work, ::testing::ElementsAre(5 * 2, 5 * 2, 5 * 3));
  for (const SequentialDamage& one : found.components) EXPECT_EQ(one.windows, 4);
}

}  // namespace
}  // namespace vernier
