#include "reliability/streamed_temperature.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "vernier/confidence_calibration.h"

namespace vernier {
namespace {

struct Logits {
  static constexpr int64_t kClasses = 40;
  std::vector<float> values;
  std::vector<int32_t> labels;
};

/// Labels are drawn from the softmax of the logits divided by `temperature`, which is therefore about the one to be found.
Logits made_up(int examples, double temperature, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal(0, 3);
  Logits logits;
  for (int i = 0; i < examples; ++i) {
    std::vector<double> weights;
    for (int64_t c = 0; c < Logits::kClasses; ++c) {
      logits.values.push_back(static_cast<float>(normal(random)));
      weights.push_back(std::exp(logits.values.back() / temperature));
    }
    logits.labels.push_back(std::discrete_distribution<int32_t>(weights.begin(), weights.end())(random));
  }
  return logits;
}

StreamedTemperature streamed(const Logits& logits) {
  StreamedTemperature sums;
  for (size_t i = 0; i < logits.labels.size(); ++i) {
    const float* row = logits.values.data() + i * Logits::kClasses;
    for (size_t node = 0; node < StreamedTemperature::kNodes; ++node) {
      double total = 0, mean = 0, squares = 0;
      for (int64_t c = 0; c < Logits::kClasses; ++c) {
        const double z = row[c], weight = std::exp(StreamedTemperature::inverse_temperature(node) * z);
        total += weight, mean += weight * z, squares += weight * z * z;
      }
      mean /= total;
      sums.add(node, mean, squares / total - mean * mean, row[logits.labels[i]]);
    }
    sums.count_example();
  }
  return sums;
}

TEST(StreamedTemperature, IsThatOfKeptLogits) {
  for (const double temperature : {0.3, 0.7, 1.0, 1.3, 2.1, 3.6}) {
    const Logits logits = made_up(400, temperature, 7);
    const double exact = fit_temperature(logits.values, Logits::kClasses, logits.labels);
    const double found = streamed(logits).fit();
    EXPECT_NEAR(std::log(found), std::log(exact), 1e-3) << temperature;
    const auto loss_at = [&](double t) {
      return mean_loss_nats(predictions_of_logits(logits.values, Logits::kClasses, logits.labels, t));
    };
    EXPECT_LT(loss_at(found) - loss_at(exact), 1e-6) << temperature;
  }
}

TEST(StreamedTemperature, StaysAtItsEnds) {
  EXPECT_EQ(streamed(made_up(400, 12, 3)).fit(), 4);
  EXPECT_EQ(streamed(made_up(400, 0.05, 3)).fit(), 0.25);
  EXPECT_TRUE(std::isnan(StreamedTemperature().fit()));
}

TEST(StreamedTemperature, AddsUpAndIsStored) {
  const Logits first = made_up(50, 1, 1), second = made_up(60, 2, 2);
  Logits both = first;
  both.values.insert(both.values.end(), second.values.begin(), second.values.end());
  both.labels.insert(both.labels.end(), second.labels.begin(), second.labels.end());
  StreamedTemperature sums = streamed(first);
  sums.add(streamed(second));
  EXPECT_NEAR(sums.fit(), streamed(both).fit(), 1e-12);
  EXPECT_EQ(StreamedTemperature::from(Json::parse(sums.json().dump())).fit(), sums.fit());
}

}  // namespace
}  // namespace vernier
