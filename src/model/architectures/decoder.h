#pragma once

// What the decoders of one lineage have in common: Llama's keys in config.json and in GGUF metadata, RMS norms before
// attention and a gated feed-forward, rotary embedding, every layer alike. A family then changes what is its own.

#include <cstdint>
#include <string>

#include "model/architecture.h"

namespace vernier {

/// What transformers takes where a key is absent.
struct DecoderDefaults {
  int64_t kv_heads = 0;  ///< 0: as many as heads
  int64_t context_length = 2048;
  int64_t head_dim = 0;  ///< 0: hidden / heads
  double epsilon = 1e-6;
  double rope_theta = 10000;
};

/// @throws Error{kBadFile, kUnsupported}
ModelConfig read_decoder(const ConfigFile& file, const DecoderDefaults& defaults);

/// hidden / heads. @throws Error{kBadFile} when it is not whole
int64_t head_dim_of(const std::string& origin, int64_t hidden, int64_t heads);

/// By the name that transformers gives it. @throws Error{kUnsupported} that lists those known here
Activation read_activation(const ConfigFile& file, const char* key, const char* fallback);

/// How a family says which layers have a sliding window.
struct SlidingRule {
  bool needs_flag = false;   ///< "use_sliding_window" must be true
  int64_t first_layer = 0;   ///< default of "max_window_layers": from there on, where "layer_types" do not say
  bool every_layer = false;  ///< a window is in every layer, and transformers does not look at "layer_types"
  int64_t window = 4096;     ///< default of "sliding_window"
  /// Where "layer_types" do not say, every so manieth layer sees everything: default of "sliding_window_pattern". 0: the
  /// family has no such key.
  int64_t full_every = 0;
};
/// Sets the windows of the layers. @throws Error{kBadFile, kUnsupported}
void read_sliding_windows(const ConfigFile& file, const SlidingRule& rule, ModelConfig& config);

/// Sets the windows of the layers as llama.cpp reads them from a file of an architecture whose code follows them:
/// "attention.sliding_window" in all layers but every `full_every`-th, unless "attention.sliding_window_pattern" says
/// otherwise. `fallback`: where the file has no window. @throws Error{kBadFile}
void read_gguf_windows(const GgufFile& file, int64_t full_every, ModelConfig& config, int64_t fallback = 0);

/// The keys that read_sliding_windows reads.
ForeignKeys sliding_window_keys();

/// Biases of queries, keys, values and the output where "attention_bias" says so; none by default.
void read_attention_bias(const ConfigFile& file, ModelConfig& config);

/// The keys by which code for other families turns the norms of queries and keys on: here they always are.
ForeignKeys qk_norm_keys();

bool has_window(const ModelConfig& config);

/// Where windows are not those of llama.cpp's code for an architecture: one in all layers but every `full_every`-th.
std::optional<std::string> why_not_gguf_windows(const ModelConfig& config, int64_t full_every,
                                                std::string_view architecture);

/// Of a family whose layers with a window rotate otherwise than those that see everything.
struct RotationOf {
  bool full = true;  ///< layers that see everything
  double theta = 0;  ///< base of layers with a window, where the file has no parameters of their own
};
/// The rotation of one kind of layer as a configuration of its own: of transformers 5 one of two sets of parameters, before
/// it what all the file says for layers that see everything, and a base for the others.
Json rotation_of(const ConfigFile& file, const RotationOf& of);

/// Rows of the token embedding. @throws Error{kBadFile} when there is none
int64_t gguf_vocabulary(const GgufFile& file);

/// Norms of queries and keys, where the file has them, are taken to be of each head. Windows are passed over: where
/// llama.cpp's code for the architecture follows them, the row refuses them in its gguf_keys or reads them.
/// @throws Error{kBadFile, kUnsupported}
ModelConfig read_gguf_decoder(const GgufFile& file);

/// The rotary embedding of a GGUF file; `layers[0]` and context_length of `config` must be known.
RopeConfig read_gguf_rope(const GgufFile& file, const ModelConfig& config);

/// A number that some files repeat for every layer. @throws Error{kUnsupported} where layers differ
int64_t same_in_every_layer(const GgufFile& file, const std::string& key, int64_t layers);

/// By what llama.cpp scales queries and keys of a YaRN model before attn_factor, which files store relative to it.
double llama_cpp_yarn_magnitude(double factor);

}  // namespace vernier
