#include "vernier/model.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "base/hash.h"
#include "base/json.h"
#include "base/output_file.h"
#include "model/config.h"
#include "model/requantize.h"
#include "support/models.h"
#include "support/scratch.h"
#include "vernier/error.h"
#include "vernier/export.h"

namespace vernier {
namespace {

TEST(Model, SettingAWeightForgetsItsScheme) {
  Model model = to_float32(fixture_model("llama"));
  const TensorId id{TensorRole::kFfnDown, 0};
  model.set_stored_scheme(id, Scheme::parse("gguf:q8_0"));
  EXPECT_TRUE(model.stored_scheme(id));
  model.set_weight(id, model.weight(id).clone());
  EXPECT_FALSE(model.stored_scheme(id));
}

// Artefacts are matched by this hash, so whatever changes an answer must change it.
TEST(Model, TheHashCoversEverythingThatChangesAnAnswer) {
  const Model model = fixture_model("llama3_rope_tied");
  const std::string hash = model_hash(model);
  EXPECT_EQ(hash, model_hash(fixture_model("llama3_rope_tied")));
  const auto changed = [&](auto&& change) {
    ModelConfig config = model.config();
    change(config);
    Model other(config, {});
    for (const TensorId& id : model.tensors()) other.set_weight(id, model.weight(id));
    return model_hash(other) != hash;
  };
  EXPECT_FALSE(changed([](ModelConfig&) {})) << "the name and the place of a file change nothing";
  EXPECT_TRUE(changed([](ModelConfig& c) { c.norm_epsilon *= 2; }));
  EXPECT_TRUE(changed([](ModelConfig& c) { c.sliding_window[0] = 7; }));
  EXPECT_TRUE(changed([](ModelConfig& c) { c.rope.theta += 1; }));
  EXPECT_TRUE(changed([](ModelConfig& c) { c.rope.original_context += 1; }));
  EXPECT_TRUE(changed([](ModelConfig& c) { c.rope.low_freq_factor += 0.5; }));
  EXPECT_TRUE(changed([](ModelConfig& c) { c.rope.high_freq_factor += 0.5; }));
  EXPECT_TRUE(changed([](ModelConfig& c) { c.rope.beta_fast += 1; }));
  EXPECT_TRUE(changed([](ModelConfig& c) { c.rope.beta_slow += 1; }));
  EXPECT_TRUE(changed([](ModelConfig& c) { c.rope.truncate = !c.rope.truncate; }));
  EXPECT_TRUE(changed([](ModelConfig& c) { c.rope.factors = {1, 2}; }));
  Model weight = model;
  at::Tensor copy = model.weight({TensorRole::kFfnUp, 1}).clone();
  copy[2][3] += 1;
  weight.set_weight({TensorRole::kFfnUp, 1}, copy);
  EXPECT_NE(model_hash(weight), hash);
}

TEST(Model, TheHashIsComputedOnceUntilAWeightIsSet) {
  Model model = fixture_model("llama");
  const auto read_by = [](const Model& m) {
    const uint64_t before = hashed_bytes();
    model_hash(m);
    return hashed_bytes() - before;
  };
  EXPECT_GE(read_by(model), model.stored_bytes());
  EXPECT_EQ(read_by(model), 0u);
  Model copy = model;
  EXPECT_EQ(read_by(copy), 0u) << "a copy has the same content";
  const TensorId id{TensorRole::kFfnUp, 1};
  copy.set_weight(id, model.weight(id) * 2);
  EXPECT_GE(read_by(copy), model.stored_bytes());
  EXPECT_NE(model_hash(copy), model_hash(model));
  EXPECT_EQ(read_by(model), 0u) << "what a copy does is its own affair";
  copy.set_weight(id, model.weight(id));
  EXPECT_EQ(model_hash(copy), model_hash(model));
  copy.set_stored(id, requantize(model, id, Scheme::parse("gguf:q8_0"), {}, 1));
  EXPECT_NE(model_hash(copy), model_hash(model));
}

// As transformers reads them: layer_types decide; without them Qwen's layers from max_window_layers on have the window.
TEST(Config, SlidingWindowsPerLayer) {
  Json json = read_json(source_dir() / "tests/fixtures/models/qwen2/config.json");
  const auto windows = [&] { return parse_config(json, "config.json").sliding_window; };
  json["num_hidden_layers"] = 4;
  json.erase("layer_types");
  json["sliding_window"] = 64;
  json["max_window_layers"] = 3;
  json["use_sliding_window"] = false;
  EXPECT_EQ(windows(), (std::vector<int64_t>{0, 0, 0, 0}));
  json["use_sliding_window"] = true;
  EXPECT_EQ(windows(), (std::vector<int64_t>{0, 0, 0, 64}));
  json["layer_types"] = {"sliding_attention", "full_attention", "sliding_attention", "full_attention"};
  EXPECT_EQ(windows(), (std::vector<int64_t>{64, 0, 64, 0}));
  EXPECT_EQ(gguf_context_length(parse_config(json, "config.json")), 64) << "llama.cpp ignores every one of them";
  json["layer_types"][1] = "chunked_attention";
  EXPECT_THROW(windows(), Error);
  json["layer_types"] = {"full_attention"};
  EXPECT_THROW(windows(), Error);
}

TEST(Model, InTheHuggingFaceCacheIsNamedAsItsUsersNameIt) {
  namespace fs = std::filesystem;
  const fs::path cache = scratch_path("vernier_hub");
  fs::remove_all(cache);
  fs::create_directories(cache / "models--owner--tiny--llama" / "snapshots");
  write_file(cache / "models--owner--tiny--llama" / "refs" / "main", "0a1b2c\n");
  fs::create_directory_symlink(source_dir() / "tests/fixtures/models/llama", cache / "link");
  fs::copy(cache / "link", cache / "models--owner--tiny--llama" / "snapshots" / "0a1b2c", fs::copy_options::recursive);
  ::setenv("HF_HUB_CACHE", cache.c_str(), 1);
  EXPECT_EQ(load_model("owner/tiny--llama").source().name, "tiny--llama");
  EXPECT_EQ(load_model((cache / "link").string()).source().name, "llama");
  ::unsetenv("HF_HUB_CACHE");
  fs::remove_all(cache);
}

}  // namespace
}  // namespace vernier
