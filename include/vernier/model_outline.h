#pragma once

// A model without its values: what its files say, checked, in a moment and without the tensor library. load_model makes a
// Model of it.
//
//   const ModelOutline outline = outline_model("model.gguf");
//   for (const TensorOutline& tensor : outline.tensors) print(name_of(tensor.id), tensor.shape, tensor.scheme.name());

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "vernier/component.h"
#include "vernier/model_config.h"
#include "vernier/scheme.h"
#include "vernier/tokenizer.h"

namespace vernier {

struct GgufKeyValue;  // format/gguf_value.h

/// Where a model came from, for manifests and reports.
struct ModelSource {
  std::filesystem::path path;
  std::string name;  ///< folder or file name
  bool gguf = false;
  std::vector<std::string> warnings = {};  ///< what the user should hear about how the files were read
  /// What a GGUF file says about where the model comes from, for files made from it; nullptr for a folder.
  std::shared_ptr<const std::vector<GgufKeyValue>> origin = nullptr;
};

/// One tensor where its file holds it.
struct TensorOutline {
  TensorId id;
  std::vector<int64_t> shape;        ///< [out, in], or [n]
  Scheme scheme;                     ///< f32, f16 and bf16 are plain values; others only for matrices
  std::span<const std::byte> bytes;  ///< of the mapped file, at any alignment; of transposed values from first to last
  /// Rows of queries and keys in llama.cpp's order, neighbouring dimensions of a head together: so many heads. 0: in
  /// Hugging Face's.
  int64_t interleaved_heads = 0;
  int64_t transposed_width = 0;  ///< value (o, i) lies at i * width + o; 0: at o * in + i
  bool less_one = false;         ///< its values are these and 1

  uint64_t stored_bytes() const;  ///< of its own values
};

struct ModelOutline {
  ModelConfig config;
  ModelSource source;
  std::vector<TensorOutline> tensors;   ///< every tensor that the configuration asks for
  std::shared_ptr<const void> mapping;  ///< the bytes live as long as this
  std::function<void()> release_pages;  ///< lets the memory of the mapping go until it is read again

  int64_t parameters() const;
  /// Of all tensors as their files hold them.
  uint64_t stored_bytes() const;
};

/// Opens a Hugging Face directory (single or sharded safetensors; F32, F16, BF16), a GGUF file, or a name in the local
/// Hugging Face cache. Families: the table in src/model/architectures. A safetensors file stands for its folder.
/// @throws Error{kBadFile} for broken files, {kUnsupported} for other families, pickles, adapters and safetensors that
/// are quantized already, {kInvalidArgument} for files that are no whole model, {kIo} when missing
ModelOutline outline_model(const std::string& path);

/// The folder or file that `name` means: a path, the folder of a safetensors file, or `owner/name` in the Hugging Face
/// cache. @throws Error{kIo}, and {kInvalidArgument, kUnsupported} for files that are no whole model
std::filesystem::path resolve_model_path(const std::string& name);

/// Every file that `name` stands for and that loading may read: a folder and those in it, or a GGUF file with its other
/// parts.
/// Empty when there is no such model.
std::vector<std::filesystem::path> files_of_model(const std::string& name);

/// The tokenizer that belongs to the model: tokenizer.json beside it, or the one inside the GGUF file.
/// @throws Error{kBadFile, kUnsupported, kIo}
TokenizerModel load_tokenizer_of(const std::filesystem::path& model_path);

}  // namespace vernier
