#include "base/file_hashes.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "base/fail.h"
#include "base/hash.h"

namespace vernier {

std::string FileHashes::of(const std::filesystem::path& path) {
  // Before reading: what changes meanwhile has another time afterwards.
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) fail(ErrorKind::kIo, "cannot read {}: {}", path.string(), std::strerror(errno));
  const int64_t changed_ns = int64_t{1'000'000'000} * info.st_mtim.tv_sec + info.st_mtim.tv_nsec;
  Known& known = known_[{info.st_dev, info.st_ino}];
  if (known.hash.empty() || known.size != info.st_size || known.changed_ns != changed_ns)
    known = {info.st_size, changed_ns, hash_file(path)};
  return known.hash;
}

}  // namespace vernier
