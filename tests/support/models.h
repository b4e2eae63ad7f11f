#pragma once

// The tiny models of tests/fixtures, and windows of made-up tokens for them.

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "engine/aten_model.h"
#include "vernier/calibrate.h"
#include "vernier/data.h"
#include "vernier/model.h"
#include "vernier/quantize_tensor.h"

namespace vernier {

inline std::filesystem::path source_dir() { return VERNIER_SOURCE_DIR; }

inline Model fixture_model(const std::string& name) {
  return load_model((source_dir() / "tests/fixtures/models" / name).string());
}

/// The first layer of such a model between embedding and output, `times` as wide: rows long enough for blocks of 256.
/// Repeats of the fixture's weights, each with its own noise.
inline Model widened_model(const std::string& name, int64_t times) {
  const Model narrow = fixture_model(name);
  ModelConfig config = narrow.config();
  config.hidden *= times;
  config.layers.resize(1);
  config.layers[0].attention.heads *= times;
  config.layers[0].attention.kv_heads *= times;
  config.layers[0].feed_forward.intermediate *= times;
  at::manual_seed(31);
  Model wide(config, narrow.source());
  for (const TensorId& id : narrow.tensors()) {
    if (id.layer > 0) continue;
    const at::Tensor weight = narrow.weight(id);
    const bool by_token = weight.dim() == 2 && weight.size(0) == config.vocabulary;
    const at::Tensor repeated =
        weight.dim() == 1 ? weight.repeat({times}) : weight.repeat({by_token ? 1 : times, times});
    wide.set_weight(id, repeated * (1 + 0.3 * at::randn(repeated.sizes())));
  }
  return wide;
}

/// Every model of tests/fixtures/models with golden outputs: an architecture that brings one is tested by being there.
inline std::vector<std::string> fixture_names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(source_dir() / "tests/fixtures/models"))
    if (std::filesystem::exists(entry.path() / "golden.safetensors")) names.push_back(entry.path().filename().string());
  if (names.empty())
    throw std::runtime_error("tests/fixtures/models holds no model: tests of all of them would test none");
  std::sort(names.begin(), names.end());
  return names;
}

/// `count` windows of `length` tokens below `vocabulary`; the second half is scored, as in text_windows.
inline EvaluationData made_up_windows(int64_t count, int64_t length, int64_t vocabulary) {
  EvaluationData data;
  data.name = "made up";
  data.context = length;
  uint32_t state = 12345;
  for (int64_t w = 0; w < count; ++w) {
    TokenWindow window;
    for (int64_t t = 0; t < length; ++t) {
      state = state * 1664525u + 1013904223u;
      window.tokens.push_back(static_cast<int32_t>(3 + (state >> 8) % static_cast<uint32_t>(vocabulary - 3)));
    }
    window.first_row = length / 2;
    window.cluster = w;
    data.windows.push_back(window);
    data.clusters.emplace_back();
  }
  data.hash = "made up";
  return data;
}

/// Of a model from tests/fixtures, on a few made-up windows.
inline Calibration calibration_of(const Model& model) { return calibrate(model, made_up_windows(2, 32, 320)); }

/// A matrix of a model in another scheme.
inline StoredMatrix requantize(const Model& model, const TensorId& id, const Scheme& scheme,
                               const std::vector<float>& importance, int threads) {
  const at::Tensor weight = model.weight(id);
  return {scheme, {weight.size(0), weight.size(1)}, quantize_bytes(scheme, weight, importance, threads, name_of(id))};
}

/// log-probabilities [scored, vocabulary] in float64 by the differentiable forward: the reference of every shortcut.
inline at::Tensor exact_log_p(const Model& model, const TokenWindow& window) {
  const c10::NoGradGuard no_grad;
  Model wide(model.config(), model.source());
  for (const TensorId& id : model.tensors()) wide.set_weight(id, model.weight(id).to(at::kDouble));
  const std::vector<int64_t> ids(window.tokens.begin(), window.tokens.end());
  const at::Tensor logits = forward_logits(wide, at::tensor(ids, at::kLong).unsqueeze(0))[0];
  return logits.narrow(0, window.first_row, window.scored()).log_softmax(-1);
}

}  // namespace vernier
