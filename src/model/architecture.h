#pragma once

// What sets one family of models apart: a row of the table in architectures/table.cpp, one file each. Nothing outside of
// its row may ask which family a model is of: what differs is in the ModelConfig that the row fills in, or in the row.
//
// A new one is a file in architectures/, a line in the table, and its fixture in tests/fixtures/models, where the tests
// that run over all of them find it. CONTRIBUTING.md has the steps.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "format/gguf_file.h"
#include "model/config_file.h"
#include "model/foreign_keys.h"
#include "vernier/blueprint.h"
#include "vernier/model_config.h"

namespace vernier {

/// What a file calls the tensor of a role. "{layer}" and "{expert}" stand for numbers. Roles with one pattern are the
/// rows of a fused tensor, in the order in which they are listed; a pattern of experts without "{expert}" is a stack.
struct TensorName {
  TensorRole role;
  std::string pattern;
  bool of_expert = false;
  bool transposed = false;  ///< stored [in, out]
  /// The shape in the file where it is another for the same values in the same order; nullptr: that of the tensor.
  std::vector<int64_t> (*shape)(const ModelConfig& config, const std::vector<int64_t>& shape) = nullptr;
  bool less_one = false;  ///< stored less 1: weights of norms that a family's code adds 1 to
};

struct Architecture {
  std::string_view name;                           ///< ModelConfig::family
  std::vector<std::string_view> model_types = {};  ///< "model_type" of config.json; none: only as a stack of another
  bool (*claims_config)(const ConfigFile& file) = nullptr;  ///< where one model_type is that of several rows
  ModelConfig (*read_config)(const ConfigFile& file) = nullptr;
  std::string_view body = "model.";  ///< what names of tensors begin with, which files may leave out or replace
  std::vector<TensorName> hugging_face = {};  ///< in place of shared_hugging_face_names() for those roles
  /// Ends of names of tensors that no forward pass needs. Old files store the rotary table.
  std::vector<std::string_view> unread = {"rotary_emb.inv_freq"};
  std::vector<ForeignKeys> config_keys = {};  ///< in place of the table of foreign keys for those keys

  std::string_view gguf = {};                           ///< "general.architecture"; empty: llama.cpp has none
  bool (*claims_gguf)(const GgufFile& file) = nullptr;  ///< where llama.cpp has one architecture for several rows
  ModelConfig (*read_gguf)(const GgufFile& file) = nullptr;
  std::vector<TensorName> gguf_names = {};  ///< in place of shared_gguf_names() for those roles
  std::vector<ForeignKeys> gguf_keys = {};
  bool interleaved_rope = false;  ///< llama.cpp rotates neighbouring dimensions: rows of queries and keys are reordered
  bool rope_factors = false;      ///< llama.cpp reads rope_freqs.weight
  bool gguf_windows = false;      ///< llama.cpp's code for it reads attention.sliding_window
  /// What llama.cpp's code for the architecture would get wrong.
  std::optional<std::string> (*why_not_gguf)(const ModelConfig& config) = nullptr;
};

/// The table. A row with claims_config or claims_gguf stands before the one that takes the rest.
const std::vector<const Architecture*>& architectures();
/// Of a configuration. @throws Error{kInternal}
const Architecture& architecture_of(const ModelConfig& config);
/// @throws Error{kUnsupported} that lists what is supported
const Architecture& architecture_of_config(const ConfigFile& file);
const Architecture& architecture_of_gguf(const GgufFile& file);

/// As transformers names the tensors of Llama and most others.
const std::vector<TensorName>& shared_hugging_face_names();
/// As llama.cpp does.
const std::vector<TensorName>& shared_gguf_names();

/// The name that the tensor has by the first of the lists that names its role. @throws Error{kInternal} for none
std::string tensor_name(const std::vector<TensorName>& own, const std::vector<TensorName>& shared, const TensorId& id);

/// Fills in TensorSpec::hugging_face and gguf. @throws Error{kInternal} for a role without a name
void place_in_files(const ModelConfig& config, std::vector<TensorSpec>& tensors);

}  // namespace vernier
