#pragma once

// The shape of a model as data: what config.json or a GGUF header says. A layer is a description that the forward pass
// follows, not a class per architecture; the tensors that follow from it are in blueprint.h. A model is a stack of layers
// with what stands before and after them; CLIP is two such stacks, each described as a model of its own.
//
//   const ModelConfig config = outline_model("models/demo-5m").config;
//   config.layers[0].attention.heads;       // 4
//   config.layers[0].feed_forward.gated;    // true

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "vernier/layer_config.h"
#include "vernier/stack.h"

namespace vernier {

/// What a stack that sees makes of an image: squares of pixels from the upper left, row by row, each of which is a row of
/// its stream. The learned rows come last, so that the last layer runs for them alone, though their positions are the first,
/// as files have them. Pixels at the right and below that fill no square are not seen.
struct PatchConfig {
  int64_t image_size = 0;  ///< pixels of each side; 0: the stack reads tokens
  int64_t patch_size = 0;  ///< pixels of each side of a square
  int64_t channels = 0;
  bool bias = false;
  bool distillation_token = false;  ///< a second learned row, after that of the class

  int64_t per_side() const { return image_size / patch_size; }
  int64_t count() const { return per_side() * per_side(); }
  int64_t learned_rows() const { return distillation_token ? 2 : 1; }
  int64_t rows() const { return learned_rows() + count(); }
  int64_t columns() const { return channels * patch_size * patch_size; }
  int64_t pixels() const { return channels * image_size * image_size; }
};

/// Which row of the normed stream answers for the whole input, and what is made of it.
struct ReadOutConfig {
  enum class Row {
    kEvery,  ///< every row answers for itself: the next token
    kFirst,  ///< the class token's
    kEnd,    ///< that of the first end_token
  };
  Row row = Row::kEvery;
  int64_t end_token = -1;  ///< -1: the largest id of a text
  int64_t classes = 0;     ///< logits of a classifier; 0: none
  bool distilled = false;  ///< the mean of two classifiers', of the class and the distillation token
  int64_t projection = 0;  ///< width of the unit vector that the row is projected to; 0: none
};

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
  std::optional<RopeConfig> window_rope;  ///< of layers with a window, where they rotate otherwise
  std::vector<LayerConfig> layers;

  PatchConfig patches;
  bool input_norm = false;  ///< of the embeddings, as output_norm
  ReadOutConfig read_out;
  Stack stack = Stack::kOnly;       ///< which of a model's stacks this is
  std::vector<ModelConfig> stacks;  ///< of a model with several, which has no layers itself

  bool reads_images() const { return patches.image_size > 0; }
  /// One stack that predicts the next token: what measuring on texts is for.
  bool is_language_model() const {
    return stacks.empty() && !reads_images() && read_out.row == ReadOutConfig::Row::kEvery;
  }
  /// One of `stacks`, or the model itself for kOnly; nullptr when it has none of that name.
  const ModelConfig* find_stack(Stack which) const;

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
