#include "vernier/calibrate.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/output_file.h"
#include "support/models.h"
#include "support/scratch.h"
#include "vernier/error.h"

namespace vernier {
namespace {

TEST(Calibrate, FirstSiteEqualsTheNormedEmbeddings) {
  const Model model = fixture_model("llama");
  const EvaluationData data = made_up_windows(3, 32, 320);
  const Calibration calibration = calibrate(model, data, {ComputeType::kFloat32, 2});
  EXPECT_EQ(calibration.tokens, 96);
  at::Tensor squares = at::zeros({64}, at::kDouble), largest = at::zeros({64}, at::kDouble),
             magnitudes = squares.clone();
  for (const TokenWindow& window : data.windows) {
    const std::vector<int64_t> ids(window.tokens.begin(), window.tokens.end());
    at::Tensor x =
        model.weight({TensorRole::kTokenEmbedding, -1}).index_select(0, at::tensor(ids, at::kLong)).to(at::kDouble);
    x = x * at::rsqrt(x.square().mean(-1, true) + model.config().norm_epsilon) *
        model.weight({TensorRole::kAttnNorm, 0});
    squares += x.square().sum(0);
    magnitudes += x.abs().sum(0);
    largest = at::max(largest, x.abs().amax(0));
  }
  const ChannelStatistics& site = calibration.sites.at({Site::kAttnInput, 0});
  for (int64_t j = 0; j < 64; ++j) {
    const auto i = static_cast<size_t>(j);
    EXPECT_NEAR(site.mean_square[i] * 96 / squares[j].item<double>(), 1, 1e-5);
    EXPECT_NEAR(site.mean_abs[i] * 96 / magnitudes[j].item<double>(), 1, 1e-5);
    EXPECT_NEAR(site.abs_max[i] / largest[j].item<double>(), 1, 1e-5);
  }
}

TEST(Calibrate, EveryMatrixThatMultipliesHasItsImportance) {
  for (const char* name : {"qwen3", "llama3_rope_tied"}) {
    const Model model = fixture_model(name);
    const Calibration calibration = calibrate(model, made_up_windows(2, 16, 320));
    check_calibration(calibration, model);
    for (const TensorId& id : model.matrices()) {
      const bool untied = id.role == TensorRole::kTokenEmbedding && !model.config().tied_embedding;
      EXPECT_EQ(calibration.importance(model, id).size(), untied ? 0u : static_cast<size_t>(model.weight(id).size(1)))
          << name_of(id);
    }
  }
}

// What is measured decides, which the text alone does not: the same tokens in bfloat16 are another calibration.
TEST(Calibrate, TheHashIsOfWhatWasMeasured) {
  const Model model = fixture_model("qwen2");
  const EvaluationData data = made_up_windows(2, 24, 320);
  const Calibration calibration = calibrate(model, data);
  const std::string hash = calibration_hash(calibration);
  EXPECT_NE(hash, calibration.data_hash);
  EXPECT_NE(calibration_hash(calibrate(model, data, {ComputeType::kBFloat16})), hash);
  Calibration other = calibration;
  other.data_name = "the same under another name";
  EXPECT_EQ(calibration_hash(other), hash);
  other.sites.begin()->second.abs_max[0] += 1;
  EXPECT_NE(calibration_hash(other), hash);
  other = calibration;
  other.model_hash = "another";
  EXPECT_NE(calibration_hash(other), hash);
}

TEST(Calibrate, FilesRoundTripAndThreadsDoNotMatter) {
  const Model model = fixture_model("qwen2");
  const EvaluationData data = made_up_windows(9, 24, 320);
  const auto folder = scratch_path("vernier_calibration_test");
  const auto bytes = [&](int threads) {
    save_calibration(calibrate(model, data, {ComputeType::kFloat32, threads}), folder / "c.safetensors");
    return read_file(folder / "c.safetensors");
  };
  const std::string one = bytes(1);
  EXPECT_EQ(one, bytes(2));
  const Calibration loaded = load_calibration(folder / "c.safetensors");
  save_calibration(loaded, folder / "again.safetensors");
  EXPECT_EQ(read_file(folder / "again.safetensors"), one);
  EXPECT_EQ(calibration_hash(loaded), calibration_hash(calibrate(model, data)));
  EXPECT_THROW(check_calibration(loaded, fixture_model("qwen3")), Error);
  EXPECT_THROW(load_calibration(source_dir() / "tests/fixtures/models/llama/model.safetensors"), Error);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace vernier
