#pragma once

// One safetensors file, mapped: a JSON header checked in full when it is opened, and tensors as views of the mapping.
// Nothing is copied; a page is read when it is touched.
//
//   SafetensorsFile file("model.safetensors");
//   for (const SafetensorsEntry& entry : file.entries()) print(entry.name, entry.shape);
//   std::span<const std::byte> weight = file.read("model.norm.weight").data;

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/mapped_file.h"
#include "format/dtype.h"

namespace vernier {

/// A view: `data` lives as long as the file object. It is row-major and little-endian, and aligned to its element only
/// if the file's writer padded the header and ordered the tensors so (ours does), hence copy before casting.
struct SafetensorsEntry {
  std::string name;
  DType dtype = DType::kOther;
  std::string dtype_name;  ///< as in the file; tells the types apart that are kOther here
  std::vector<int64_t> shape;
  std::span<const std::byte> data;
};

class SafetensorsFile {
 public:
  /// @throws Error{kBadFile} for any breach of the format: header length, JSON, duplicate names, offsets that overlap,
  /// leave holes or do not end with the file, sizes that do not match shapes; Error{kUnsupported} for a pickle;
  /// Error{kIo} when it cannot be opened
  explicit SafetensorsFile(const std::filesystem::path& path);

  /// In the order of their data in the file.
  const std::vector<SafetensorsEntry>& entries() const { return entries_; }
  /// nullptr when absent.
  const SafetensorsEntry* find(std::string_view name) const;
  /// For use of the values. @throws Error{kBadFile} when absent, Error{kUnsupported} when its type is kOther
  const SafetensorsEntry& read(std::string_view name) const;
  /// `__metadata__`; empty when the file has none.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const std::filesystem::path& path() const { return mapping_->path(); }
  /// Lets the memory of tensors go until they are read again.
  void release_pages() const { mapping_->release_pages(); }

 private:
  std::unique_ptr<const MappedFile> mapping_;  // behind a pointer, so that the file can be moved and views stay valid
  std::vector<SafetensorsEntry> entries_;
  std::map<std::string, size_t, std::less<>> index_;  // ordered: a hostile file cannot make look-ups slow
  std::map<std::string, std::string> metadata_;
};

}  // namespace vernier
