#pragma once

// One GGUF file, mapped (versions 2 and 3, little-endian): metadata as typed values, tensors as views of the mapping.
// Everything is checked when the file is opened; no count or length in it is believed before it is compared with the
// bytes that are left.
//
//   GgufFile file("model.gguf");
//   const std::string& arch = file.get_string("general.architecture");
//   for (const GgufTensor& tensor : file.tensors()) print(tensor.name, tensor.type->name, tensor.shape);

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/mapped_file.h"
#include "format/ggml_type.h"
#include "format/gguf_value.h"

namespace vernier {

/// A view: `data` lives as long as the file object. Rows are contiguous and made of blocks of `type`.
struct GgufTensor {
  std::string name;
  const GgmlType* type = nullptr;
  std::vector<int64_t> ne;     ///< as stored: innermost (row length) first
  std::vector<int64_t> shape;  ///< torch order: [out, in] where ne is [in, out]
  std::span<const std::byte> data;
};

class GgufFile {
 public:
  /// @throws Error{kBadFile} for any breach of the format, a version other than 2 and 3, big-endian files;
  /// Error{kUnsupported} for a tensor type that is not in ggml_types(), and a pickle; Error{kIo}
  explicit GgufFile(const std::filesystem::path& path);

  /// Lets the memory of tensors go until they are read again.
  void release_pages() const { mapping_->release_pages(); }

  uint32_t version() const { return version_; }
  uint64_t alignment() const { return alignment_; }
  const std::filesystem::path& path() const { return mapping_->path(); }

  /// In the order of the file.
  const std::vector<GgufKeyValue>& values() const { return values_; }
  /// nullptr when absent.
  const GgufValue* find(std::string_view key) const;

  /// The getters name the key and the file in their errors.
  /// @throws Error{kBadFile} when the key is absent, of another kind, or out of range
  int64_t get_int(std::string_view key, int64_t min, int64_t max) const;  ///< any integer type, or an array of one
  double get_number(std::string_view key) const;                          ///< any number
  bool get_bool(std::string_view key) const;
  const std::string& get_string(std::string_view key) const;
  const std::vector<std::string>& get_strings(std::string_view key) const;
  /// An array of any integer type; a scalar counts as an array of one, since some keys may be either.
  std::vector<int64_t> get_ints(std::string_view key, int64_t min = std::numeric_limits<int64_t>::min(),
                                int64_t max = std::numeric_limits<int64_t>::max()) const;
  const std::vector<float>& get_floats(std::string_view key) const;  ///< a float32 array

  /// In the order of the file's list.
  const std::vector<GgufTensor>& tensors() const { return tensors_; }
  /// nullptr when absent.
  const GgufTensor* find_tensor(std::string_view name) const;

 private:
  const GgufValue& need(std::string_view key) const;
  [[noreturn]] void wrong_kind(std::string_view key, const char* expected) const;
  void check_overlaps() const;

  std::unique_ptr<const MappedFile> mapping_;  // behind a pointer, so that the file can be moved and views stay valid
  uint32_t version_ = 0;
  uint64_t alignment_ = 32;
  std::vector<GgufKeyValue> values_;
  std::vector<GgufTensor> tensors_;
  std::map<std::string, size_t, std::less<>> value_index_, tensor_index_;
};

}  // namespace vernier
