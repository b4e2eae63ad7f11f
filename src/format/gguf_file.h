#pragma once

// One GGUF model, mapped (versions 2 and 3, little-endian): metadata as typed values, tensors as views of the mapping.
// A model split into NAME-00001-of-00003.gguf and so on is opened whole, by the name of any of its parts. Everything is
// checked when it is opened; no count or length in it is believed before it is compared with the bytes that are left.
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

struct GgufPart;

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
  /// @throws Error{kBadFile} for any breach of the format, a version other than 2 and 3, big-endian files
  /// and for parts that do not belong together; Error{kUnsupported} for a tensor type that is not in ggml_types(), and a
  /// pickle; Error{kIo}, which names the part when one is missing
  explicit GgufFile(const std::filesystem::path& path);

  /// Lets the memory of tensors go until they are read again.
  void release_pages() const {
    for (const auto& mapping : mappings_) mapping->release_pages();
  }

  uint32_t version() const { return version_; }
  uint64_t alignment() const { return alignment_; }
  /// Of the file with the metadata: the first part of a split model.
  const std::filesystem::path& path() const { return mappings_.front()->path(); }
  /// All parts, in order; one path for a model that is not split.
  std::vector<std::filesystem::path> paths() const;

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

  /// In the order of the file's list, part by part.
  const std::vector<GgufTensor>& tensors() const { return tensors_; }
  /// nullptr when absent.
  const GgufTensor* find_tensor(std::string_view name) const;

 private:
  const GgufValue& need(std::string_view key) const;
  [[noreturn]] void wrong_kind(std::string_view key, const char* expected) const;
  void add(GgufPart part);

  std::vector<std::unique_ptr<const MappedFile>> mappings_;
  uint32_t version_ = 0;
  uint64_t alignment_ = 32;
  std::vector<GgufKeyValue> values_;
  std::vector<GgufTensor> tensors_;
  std::map<std::string, size_t, std::less<>> value_index_, tensor_index_;
};

}  // namespace vernier
