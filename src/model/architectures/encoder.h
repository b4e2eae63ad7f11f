#pragma once

// What the stacks of ViT, DeiT and CLIP have in common: LayerNorms before attention and a plain feed-forward, biases, no
// rotary embedding, learned positions, every layer alike; and patches in front of those that see.

#include <cstdint>
#include <string>
#include <vector>

#include "model/architecture.h"

namespace vernier {

/// What transformers takes where a key is absent.
struct EncoderDefaults {
  int64_t hidden = 768, layers = 12, heads = 12, intermediate = 3072;
  const char* activation = "gelu";
  double epsilon = 1e-12;
  int64_t image_size = 224, patch_size = 16;
};

/// Layers, hidden size and norms. @throws Error{kBadFile, kUnsupported}
ModelConfig read_encoder(const ConfigFile& file, const EncoderDefaults& defaults);

/// Patches, and a position for each row: `config` then sees images. @throws Error{kBadFile, kUnsupported}
void read_patches(const ConfigFile& file, const EncoderDefaults& defaults, bool distillation_token,
                  ModelConfig& config);

/// Shapes in files, as TensorName::shape.
std::vector<int64_t> convolution_shape(const ModelConfig& config, const std::vector<int64_t>& shape);
std::vector<int64_t> batch_of_one(const ModelConfig& config, const std::vector<int64_t>& shape);
std::vector<int64_t> scalar_shape(const ModelConfig& config, const std::vector<int64_t>& shape);

}  // namespace vernier
