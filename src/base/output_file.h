#pragma once

// Files that appear whole or not at all: written beside the target, fsynced, then renamed over it. Symbolic links are
// followed, and a file that is replaced keeps its mode and, where the system lets it, its owner. Devices and pipes are
// written through.
//
//   OutputFile file("out/plan.json");
//   file.write(text);
//   file.commit();        // without this the temporary is removed and the old file stays

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

namespace vernier {

class OutputFile {
 public:
  /// Creates missing parent folders. @throws Error{kIo}; also for a folder, a socket and a block device
  explicit OutputFile(const std::filesystem::path& path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);
  uint64_t size_bytes() const { return size_; }
  /// @throws Error{kIo} when the disk is full or the rename fails; the old file is then untouched
  void commit();

 private:
  std::filesystem::path path_;
  std::filesystem::path target_;     // behind the links
  std::filesystem::path temporary_;  // empty for a stream
  int fd_ = -1;
  uint64_t size_ = 0;
};

/// SIGINT, SIGTERM and SIGHUP end a program as they do, after what it has half written is gone; a file that grows too large
/// is an error of write() in place of a signal. For a program's beginning, not for a library's.
void remove_partial_files_when_ended();

/// With those above it; nothing where it is there. @throws Error{kIo}
void make_folder(const std::filesystem::path& folder);
/// Or an empty folder; nothing where it is not there. @throws Error{kIo}
void remove_file(const std::filesystem::path& path);

/// The common case in one call.
void write_file(const std::filesystem::path& path, std::string_view text);
/// @throws Error{kIo} when it cannot be read or exceeds `max_bytes`
std::string read_file(const std::filesystem::path& path, uint64_t max_bytes = uint64_t{1} << 32);

}  // namespace vernier
