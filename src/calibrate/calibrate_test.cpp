#include "vernier/calibrate.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/output_file.h"
#include "format/safetensors_writer.h"
#include "support/cancelling_sink.h"
#include "support/expect_error.h"
#include "support/models.h"
#include "support/scratch.h"

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
    x = x * at::rsqrt(x.square().mean(-1, true) + model.config().layer(0).norm.epsilon) *
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
    ASSERT_GT(model.matrices().size(), 7u * model.config().layers.size());
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
  EvaluationData data = made_up_windows(9, 24, 320);
  for (size_t w = 0; w < 9; ++w) data.clusters[w].part = static_cast<int64_t>(w / 4);
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
  ASSERT_EQ(loaded.text.size(), data.windows.size());
  for (size_t w = 0; w < loaded.text.size(); ++w) {
    EXPECT_EQ(loaded.text[w].tokens, data.windows[w].tokens);
    EXPECT_EQ(loaded.text[w].part, static_cast<int64_t>(w / 4));
  }
  expect_error(ErrorKind::kInvalidArgument, {"calibration of another model", loaded.model_hash},
               [&] { check_calibration(loaded, fixture_model("qwen3")); });
  std::filesystem::remove_all(folder);
}

TEST(Calibrate, ASinkThatThrowsCancels) {
  const Model model = fixture_model("llama");
  for (const int threads : {1, 2}) {
    CancellingSink sink(2);
    EXPECT_THROW(calibrate(model, made_up_windows(20, 16, 320), {ComputeType::kFloat32, threads}, &sink), Cancelled);
    EXPECT_EQ(sink.updates, 3);
    EXPECT_FALSE(sink.ended);
  }
}

TEST(CalibrationFile, ATextWhoseWindowsDoNotFillItIsRefused) {
  const auto path = scratch_path("vernier_calibration_text.safetensors");
  const auto load = [&](const std::vector<int32_t>& tokens, const std::vector<int32_t>& windows) {
    SafetensorsWriter writer;
    for (const auto& [key, value] : std::map<std::string, std::string>{{"schema_version", "1"},
                                                                       {"model_hash", "m"},
                                                                       {"data_name", "d"},
                                                                       {"data_hash", "h"},
                                                                       {"windows", "2"},
                                                                       {"tokens", "8"}})
      writer.set_metadata(key, value);
    writer.add("text.tokens", DType::kI32, {static_cast<int64_t>(tokens.size())});
    writer.add("text.windows", DType::kI32, {static_cast<int64_t>(windows.size() / 2), 2});
    writer.write(
        path, [&](size_t i, const ByteSink& append) { append(std::as_bytes(std::span(i == 0 ? tokens : windows))); });
    return load_calibration(path).text;
  };
  EXPECT_EQ(load({5, 6, 7}, {2, 0, 1, 4}).at(1).tokens, (std::vector<int32_t>{7}));
  for (const std::vector<int32_t>& windows :
       {std::vector<int32_t>{2, 0}, {2, 0, 2, 0}, {-1, 0}, {0, 0}, {3, -1}, {2147483647, 0}})
    expect_error(ErrorKind::kBadFile, {path.string(), "text."}, [&] { load({5, 6, 7}, windows); });
  std::filesystem::remove(path);
}

TEST(CalibrationFile, WhatIsNoneIsRefusedWithItsPlace) {
  struct Entry {
    std::string name;
    int64_t channels = 4;
    DType type = DType::kF32;
  };
  const std::map<std::string, std::string> sound = {{"schema_version", "1"}, {"model_hash", "m"}, {"data_name", "d"},
                                                    {"data_hash", "h"},      {"windows", "2"},    {"tokens", "8"}};
  const std::vector<Entry> site = {{"L0.ffn_input.mean_square"}, {"L0.ffn_input.mean_abs"}, {"L0.ffn_input.abs_max"}};
  const auto path = scratch_path("vernier_no_calibration.safetensors");
  const auto load = [&](const std::map<std::string, std::string>& metadata, const std::vector<Entry>& entries) {
    SafetensorsWriter writer;
    for (const auto& [key, value] : metadata) writer.set_metadata(key, value);
    for (const Entry& entry : entries) writer.add(entry.name, entry.type, {entry.channels});
    writer.write(path, [&](size_t i, const ByteSink& append) {
      append(
          std::vector<std::byte>(static_cast<size_t>(entries[i].channels) * (entries[i].type == DType::kF32 ? 4 : 2)));
    });
    return load_calibration(path);
  };
  EXPECT_EQ(load(sound, site).sites.at({Site::kFfnInput, 0}).abs_max.size(), 4u);
  for (const auto& [key, value] : sound) {
    auto metadata = sound;
    metadata.erase(key);
    expect_error(ErrorKind::kBadFile, {path.string(), '"' + key + "\" is missing", "is this a calibration file?"},
                 [&] { load(metadata, site); });
  }
  for (const std::string key : {"schema_version", "windows", "tokens"})
    for (const std::string value : {"", "many", "-1", "1.5", "99999999999999999999"}) {
      auto metadata = sound;
      metadata[key] = value;
      expect_error(ErrorKind::kBadFile, {'"' + key + '"', "expected a count, got \"" + value + '"'},
                   [&] { load(metadata, site); });
    }
  auto newer = sound;
  newer["schema_version"] = "2";
  expect_error(ErrorKind::kBadFile, {"schema 2, expected 1", "calibrate again"}, [&] { load(newer, site); });
  for (const Entry& stray :
       {Entry{"mean_square"}, Entry{"L0.mean_square"}, Entry{"L0.elbow.mean_square"}, Entry{"L0.attn_input.median"},
        Entry{"Lx.attn_input.abs_max"}, Entry{"L0.attn_input."}, Entry{"L0.attn_input.abs_max", 4, DType::kF16}})
    expect_error(ErrorKind::kBadFile, {stray.name + ": expected a statistic per channel"}, [&] {
      load(sound, {site[0], site[1], site[2], stray});
    });
  expect_error(ErrorKind::kBadFile, {"L0.ffn_input.abs_max: expected 4 channels", "got 3"}, [&] {
    load(sound, {site[0], site[1], {"L0.ffn_input.abs_max", 3}});
  });
  expect_error(ErrorKind::kBadFile, {"L0.ffn_input.mean_abs: expected 4 channels", "got 0"}, [&] {
    load(sound, {site[0], site[2]});
  });
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace vernier
