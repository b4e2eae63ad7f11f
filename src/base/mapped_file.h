#pragma once

// A file mapped read-only into memory. Pages come in when touched, so a model larger than memory opens at once.

#include <cstddef>
#include <filesystem>
#include <span>

namespace vernier {

class MappedFile {
 public:
  /// @throws Error{kIo} when the file cannot be opened, is not a regular file or cannot be mapped
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  /// Lets the pages in memory go; they come in again when touched.
  void release_pages() const;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace vernier
