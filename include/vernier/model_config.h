#pragma once

// The shape of a model as data: what config.json or a GGUF header says. A layer is a description that the forward pass
// follows, not a class per architecture; the tensors that follow from it are in blueprint.h.
//
//   const ModelConfig config = outline_model("models/demo-5m").config;
//   config.layers[0].attention.heads;       // 4
//   config.layers[0].feed_forward.gated;    // true

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "vernier/layer_config.h"

namespace vernier {

struct ModelConfig {
  std::string family;  ///< name of an architecture (src/model/architectures)
  int64_t vocabulary = 0;
  int64_t hidden = 0;
  int64_t context_length = 0;
  int64_t positions = 0;       ///< rows of the learned position embedding; 0: none
  double embedding_scale = 1;  ///< of token embeddings as they enter the first layer
  NormConfig output_norm;
  double logit_soft_cap = 0;    ///< 0: none
  bool tied_embedding = false;  ///< the output matrix is the embedding
  RopeConfig rope;
  std::vector<LayerConfig> layers;

  int depth() const { return static_cast<int>(layers.size()); }
  const LayerConfig& layer(int index) const { return layers[static_cast<size_t>(index)]; }
};

/// A fact of the configuration, for hashing, comparing and showing: none is left out (config_fields.cpp).
struct ConfigField {
  std::string name;
  std::variant<bool, int64_t, double, std::string> value;
  bool operator==(const ConfigField&) const = default;
};
/// Of the model without its layers.
std::vector<ConfigField> fields_of(const ModelConfig& config);
std::vector<ConfigField> fields_of(const LayerConfig& layer);
/// "true", "32", "1e-05", "llama".
std::string text_of(const ConfigField& field);

bool operator==(const LayerConfig& a, const LayerConfig& b);
bool operator==(const ModelConfig& a, const ModelConfig& b);

}  // namespace vernier
