#pragma once

// Writes a GGUF version 3 file: metadata and tensor declarations first, then the data as a stream. The size of the file
// is known, exactly, before anything is written, so that a plan can meet a budget in bytes.
//
//   GgufWriter writer;
//   writer.set("general.architecture", "llama");
//   writer.add_tensor("output_norm.weight", kGgmlF32, {4096});
//   if (writer.file_bytes() <= budget)
//     writer.write("model.gguf", [&](size_t index, const ByteSink& append) { append(bytes_of(index)); });

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "format/ggml_type.h"
#include "format/gguf_value.h"
#include "format/tensor_source.h"

namespace vernier {

/// Every tensor starts at a multiple of this, the last one is padded to it too.
inline constexpr uint64_t kGgufAlignment = 32;
/// What a tensor of `size_bytes` takes in the file.
constexpr uint64_t gguf_padded_bytes(uint64_t size_bytes) {
  return (size_bytes + kGgufAlignment - 1) / kGgufAlignment * kGgufAlignment;
}

class GgufWriter {
 public:
  /// Stored in the order of the calls. The value's C++ type is its type in the file: `uint32_t{32}`, `1e-5f`.
  /// @throws Error{kInvalidArgument} for a key that is taken, empty, longer than 65535 bytes, or general.alignment
  void set(const std::string& key, const GgufValue& value);
  /// @shape torch order, [out, in]; 1 to 4 dimensions of at least 1
  /// @throws Error{kInvalidArgument} for a name that is taken, empty or not shorter than 64 bytes, and for a row that
  /// is not a multiple of the type's block; Error{kUnsupported} for a type not in ggml_types()
  void add_tensor(const std::string& name, uint32_t type_id, const std::vector<int64_t>& shape);

  /// Bytes before the first tensor; the types of the tensors do not change it.
  uint64_t header_bytes() const;
  /// Size of the file that write() makes: header_bytes() + the sum of gguf_padded_bytes() of the tensors.
  uint64_t file_bytes() const { return header_bytes() + data_bytes_; }
  /// Hash of metadata and declarations: of everything that is not tensor data.
  std::string header_hash() const;
  size_t tensor_count() const { return tensors_.size(); }

  /// Tensors are asked for in the order of declaration. Whole or not at all.
  /// @throws Error{kIo, kInvalidArgument} and what the source throws
  void write(const std::filesystem::path& path, const TensorSource& source) const;

 private:
  struct Tensor {
    std::string name;
    uint64_t size_bytes;
  };
  std::vector<Tensor> tensors_;
  std::set<std::string, std::less<>> keys_, names_;
  std::string encoded_values_, encoded_tensors_;  // as in the file, so that their sizes are the file's
  uint64_t data_bytes_ = 0;
};

}  // namespace vernier
