// The stages on both engines: what one computes, the other does within rounding.

#include "engine/engine.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <mutex>

#include "support/expect_error.h"
#include "support/models.h"
#include "vernier/diagnose.h"
#include "vernier/evaluate.h"

namespace vernier {
namespace {

ComputeOptions aten() {
  ComputeOptions options;
  options.device = "aten";
  return options;
}

class BothEngines : public ::testing::TestWithParam<std::string> {
 protected:
  Model model_ = fixture_model(GetParam());
  EvaluationData data_ = made_up_windows(3, 40, 320);
};

TEST_P(BothEngines, Calibrate) {
  const Calibration fused = calibrate(model_, data_), plain = calibrate(model_, data_, aten());
  ASSERT_EQ(fused.sites.size(), plain.sites.size());
  EXPECT_FALSE(fused.sites.empty());
  for (const auto& [site, channels] : fused.sites) {
    const ChannelStatistics& other = plain.sites.at(site);
    ASSERT_EQ(channels.mean_square.size(), other.mean_square.size()) << name_of(site);
    for (size_t j = 0; j < channels.mean_square.size(); ++j) {
      EXPECT_NEAR(channels.mean_square[j], other.mean_square[j], 1e-4 * other.mean_square[j] + 1e-9) << name_of(site);
      EXPECT_NEAR(channels.mean_abs[j], other.mean_abs[j], 1e-4 * other.mean_abs[j] + 1e-6) << name_of(site);
      EXPECT_NEAR(channels.abs_max[j], other.abs_max[j], 1e-4 * other.abs_max[j] + 1e-6) << name_of(site);
    }
  }
}

TEST_P(BothEngines, Evaluate) {
  Model other = to_float32(model_);
  const TensorId id{TensorRole::kAttnOutput, 1};
  // Each row by another factor: one factor for all would be undone by an RMS norm after attention.
  other.set_weight(id, other.weight(id) * at::linspace(1, 1.1, other.weight(id).size(0)).unsqueeze(1));
  const Evaluation fused = evaluate({&other}, &model_, data_)[0];
  const Evaluation plain = evaluate({&other}, &model_, data_, {aten()})[0];
  EXPECT_NEAR(plain.all.nll().mean, fused.all.nll().mean, 1e-5);
  EXPECT_GT(fused.all.kl().mean, 1e-6);
  EXPECT_NEAR(plain.all.kl().mean / fused.all.kl().mean, 1, 1e-3);
  EXPECT_EQ(plain.all.same_top().mean, fused.all.same_top().mean);
}

TEST_P(BothEngines, Diagnose) {
  const Calibration calibration = calibrate(model_, data_);
  DiagnoseOptions options;
  options.scheme = "gguf:q4_0";
  const Diagnosis fused = diagnose(model_, calibration, data_, options);
  options.compute = aten();
  const Diagnosis plain = diagnose(model_, calibration, data_, options);
  EXPECT_EQ(plain.control_kl, 0) << "quantizing nothing must change nothing";
  EXPECT_LT(plain.noise_floor_kl, 1e-9);
  ASSERT_EQ(fused.components.size(), plain.components.size());
  EXPECT_GT(fused.components.size(), 30u);
  for (size_t i = 0; i < fused.components.size(); ++i) {
    const ComponentDamage &a = fused.components[i], &b = plain.components[i];
    EXPECT_EQ(a.component, b.component);
    // Differences of float32 streams: about 1e-6 of the logits, against shifts of 1e-2 for the mildest component.
    EXPECT_NEAR(b.kl.mean, a.kl.mean, 2e-3 * a.kl.mean + 1e-9) << name_of(a.component);
    EXPECT_NEAR(b.delta_nll.mean, a.delta_nll.mean, 2e-3 * std::abs(a.delta_nll.mean) + 1e-5) << name_of(a.component);
  }
  ASSERT_TRUE(plain.joint_kl);
  EXPECT_NEAR(plain.joint_kl->mean / fused.joint_kl->mean, 1, 1e-3);
}

TEST_P(BothEngines, SequencesDoNotDependOnWhatRunsBesideThem) {
  for (const ComputeOptions& compute : {ComputeOptions{.threads = 2}, aten()}) {
    const std::unique_ptr<Engine> engine = make_engine(compute);
    const auto prepared = engine->prepare(model_, {.positions = data_.longest()});
    std::vector<Sequence> sequences;
    for (const TokenWindow& window : data_.windows) sequences.push_back({window.tokens, window.first_row});
    const auto first_logits = [&](size_t sequence) {
      Arena arena;
      const Slab tile = prepared->logits(arena, sequence)(0, 1);
      return std::vector<float>(tile.row(0), tile.row(0) + tile.cols);
    };
    int64_t layers = 0;
    std::mutex mutex;
    prepared->run(sequences, [&](int64_t done) {
      const std::lock_guard<std::mutex> lock(mutex);
      layers += done;
    });
    EXPECT_EQ(layers, static_cast<int64_t>(sequences.size()) * model_.config().depth());
    std::vector<std::vector<float>> together;
    for (size_t i = 0; i < sequences.size(); ++i) together.push_back(first_logits(i));
    SumsOfSites sums, one_by_one;
    prepared->add_site_sums(sequences, sums, {});
    for (size_t i = 0; i < sequences.size(); ++i) {
      prepared->run({&sequences[i], 1}, {});
      EXPECT_EQ(first_logits(0), together[i]) << engine->name() << ", sequence " << i;
      prepared->add_site_sums({&sequences[i], 1}, one_by_one, {});
    }
    ASSERT_EQ(sums.size(), one_by_one.size());
    for (const auto& [site, own] : sums) {
      EXPECT_EQ(own.squares, one_by_one.at(site).squares) << name_of(site);
      EXPECT_EQ(own.largest, one_by_one.at(site).largest) << name_of(site);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, BothEngines, ::testing::ValuesIn(fixture_names()),
                         [](const auto& info) { return info.param; });

TEST(MakeEngine, ADeviceThatIsNotThereIsRefused) {
  ComputeOptions options;
  for (const char* name : {"gpu", "", "cuda:x"}) {
    options.device = name;
    expect_error(ErrorKind::kInvalidArgument, {"device \"" + std::string(name) + "\"", "expected cpu"},
                 [&] { make_engine(options); });
  }
}

TEST(MakeEngine, RoundedActivationsAreOfTheCpu) {
  EXPECT_EQ(make_engine({})->name().rfind("fused", 0), 0u);
  expect_error(ErrorKind::kUnsupported, {"activations", "only on the CPU"}, [] {
    make_engine(aten())->prepare(fixture_model("llama"), {.positions = 8, .activations = Activations::kLlamaCpp});
  });
}

}  // namespace
}  // namespace vernier
