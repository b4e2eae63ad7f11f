#include "vernier/model.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <set>
#include <string>
#include <type_traits>

#include "base/hash.h"
#include "base/json.h"
#include "base/output_file.h"
#include "model/config.h"
#include "support/expect_error.h"
#include "support/models.h"
#include "support/scratch.h"
#include "vernier/target.h"

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

template <class Field>
void change(Field& field) {
  if constexpr (std::is_same_v<Field, bool>) {
    field = !field;
  } else if constexpr (std::is_same_v<Field, std::string>) {
    field += "x";
  } else if constexpr (std::is_enum_v<Field>) {
    field = static_cast<Field>(static_cast<int>(field) == 0 ? 1 : 0);
  } else if constexpr (requires { field.size(); }) {
    field.empty() ? field.push_back(7) : change(field.back());
  } else {
    field += 1;
  }
}

// Artefacts are matched by this hash, so whatever changes an answer must change it. The lists of names below are all
// members of the structs: one more does not compile until it is listed, and then it must be in the hash, too.
TEST(Model, TheHashCoversEveryNumberOfTheConfiguration) {
  const Model model = fixture_model("llama3_rope_tied");
  const std::string hash = model_hash(model);
  EXPECT_EQ(hash, model_hash(fixture_model("llama3_rope_tied")));
  ModelConfig config = model.config();
  const auto hash_now = [&] {
    Model other(config, {});
    for (const TensorId& id : model.tensors()) other.set_weight(id, model.weight(id));
    return model_hash(other);
  };
  EXPECT_EQ(hash_now(), hash) << "the name and the place of a file change nothing";
  std::set<std::string> seen{hash};
  const auto each_changes = [&](auto&... fields) {
    int index = 0;
    const auto one = [&](auto& field) {
      const auto before = field;
      change(field);
      EXPECT_TRUE(seen.insert(hash_now()).second) << "field " << index;
      field = before;
      ++index;
    };
    (one(fields), ...);
  };
  auto& [family, vocabulary, hidden, context, positions, scale, output_norm, cap, tied, rope, window_rope, layers,
         patches, input_norm, read_out, stack, stacks] = config;
  each_changes(vocabulary, hidden, context, positions, scale, output_norm.kind, output_norm.epsilon, output_norm.bias,
               cap, tied);
  auto& [kind, theta, factor, original_context, low, high, fast, slow, truncate, factors, magnitude] = rope;
  each_changes(kind, theta, factor, original_context, low, high, fast, slow, truncate, factors, magnitude);
  window_rope.emplace();
  EXPECT_TRUE(seen.insert(hash_now()).second) << "another rotation of layers with a window, though the same numbers";
  each_changes(window_rope->kind, window_rope->theta, window_rope->factor);
  window_rope.reset();
  auto& [norm, pre_norm, post_norm, attention, feed_forward, parallel, shared_norm] = layers[1];
  each_changes(norm.kind, norm.epsilon, norm.bias, pre_norm, post_norm, parallel, shared_norm);
  auto& [heads, kv_heads, head_dim, qkv_bias, output_bias, qk_norm, rotary, causal, window, score_scale, soft_cap,
         sinks] = attention;
  each_changes(heads, kv_heads, head_dim, qkv_bias, output_bias, qk_norm, rotary, causal, window, score_scale, soft_cap,
               sinks);
  auto& [gated, activation, intermediate, bias, experts] = feed_forward;
  each_changes(gated, activation, intermediate, bias);
  auto& [count, used, normalize, shared_intermediate, shared_switch] = experts;
  each_changes(count, used, normalize, shared_intermediate, shared_switch);
  layers.pop_back();
  EXPECT_TRUE(seen.insert(hash_now()).second) << "layers";
  family = "mistral";
  EXPECT_TRUE(seen.insert(hash_now()).second) << "family";
  // What only models that see have: the hash is of these fields, and a language model would have no such tensors.
  const auto told = [&] {
    std::string text;
    for (const ConfigField& field : fields_of(config)) text += field.name + " " + text_of(field) + ", ";
    return text;
  };
  const std::string plain = told();
  const auto each_is_told = [&](auto&... fields) {
    const auto one = [&](auto& field) {
      const auto before = field;
      change(field);
      EXPECT_TRUE(seen.insert(told()).second) << told();
      field = before;
    };
    (one(fields), ...);
    EXPECT_EQ(told(), plain);
  };
  auto& [image_size, patch_size, channels, patch_bias, distillation_token] = patches;
  each_is_told(image_size, patch_size, channels, patch_bias, distillation_token, input_norm, stack);
  auto& [row, end_token, classes, distilled, projection] = read_out;
  each_is_told(row, end_token, classes, distilled, projection);
  stacks.emplace_back();
  EXPECT_NE(told(), plain);
}

TEST(Model, TheHashCoversEveryTensor) {
  const Model model = fixture_model("llama3_rope_tied");
  std::set<std::string> seen{model_hash(model)};
  for (const TensorId& id : model.tensors()) {
    Model changed = model;
    at::Tensor copy = model.weight(id).clone();
    copy.view(-1)[-1] += 1;
    changed.set_weight(id, copy);
    EXPECT_TRUE(seen.insert(model_hash(changed)).second) << name_of(id);
  }
  EXPECT_GT(seen.size(), 20u);
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
  const auto windows = [&] {
    std::vector<int64_t> all;
    for (const LayerConfig& layer : parse_config(json, "config.json").layers) all.push_back(layer.attention.window);
    return all;
  };
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
  EXPECT_EQ(find_target("llama.cpp").context_length(parse_config(json, "config.json")), 64)
      << "llama.cpp ignores every one of them";
  json["layer_types"][1] = "chunked_attention";
  expect_error(ErrorKind::kUnsupported, {"config.json: layer_types[1] is chunked_attention"}, windows);
  json["layer_types"] = {"full_attention"};
  expect_error(ErrorKind::kBadFile, {"config.json: layer_types: expected 4 entries, got 1"}, windows);
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
