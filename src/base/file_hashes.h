#pragma once

// Content hashes of files that are asked for again and again, such as the artefacts of a run.
//
//   FileHashes hashes;
//   hashes.of("out/model.gguf");   // reads it
//   hashes.of("out/model.gguf");   // does not, unless it has changed

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>

namespace vernier {

class FileHashes {
 public:
  /// hash_file(path). A file is read again only where its size, its time of change or its inode are others than before;
  /// a second name of a known file is known too. @throws Error{kIo}
  std::string of(const std::filesystem::path& path);

 private:
  struct Known {
    off_t size = 0;
    int64_t changed_ns = 0;
    std::string hash;
  };
  std::map<std::pair<dev_t, ino_t>, Known> known_;
};

}  // namespace vernier
