#pragma once

// How files say which layers of a decoder have experts, and how large those are.

#include <cstdint>
#include <string>

#include "model/architecture.h"

namespace vernier {

/// The same choice among experts in every layer. @throws Error{kBadFile} for more than 2^18 experts in all
void set_experts(const ExpertsConfig& experts, const std::string& origin, ModelConfig& config);

/// The keys that say how many experts there are, and where.
ForeignKeys expert_keys();

/// How many there are and are used, and whether their shares are divided by their sum, where the keys are those of Qwen and
/// OLMoE. `count` and `used`: where they are absent. @throws Error{kBadFile}
ExpertsConfig read_experts(const ConfigFile& file, int64_t count, int64_t used);

/// What transformers takes where a key of Qwen's lineage is absent.
struct SparseDefaults {
  int64_t count = 0, used = 0;
  int64_t intermediate = 0;         ///< of each expert
  int64_t shared_intermediate = 0;  ///< of the one that every token passes; 0: the family has none
};
/// Sets the experts of every "decoder_sparse_step"-th layer but the "mlp_only_layers", which stay as they are.
/// @throws Error{kBadFile}
void read_sparse_layers(const ConfigFile& file, const SparseDefaults& defaults, ModelConfig& config);

/// From GGUF metadata, in every layer. @param normalize what llama.cpp's code for the architecture does with the shares
/// of the experts that a token takes @throws Error{kBadFile}
void read_gguf_experts(const GgufFile& file, bool normalize, ModelConfig& config);

/// What llama.cpp's code for an architecture of experts would get wrong: other shares than it takes, layers without experts.
std::optional<std::string> why_not_gguf_experts(const ModelConfig& config, bool normalize);

}  // namespace vernier
