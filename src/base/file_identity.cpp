#include "base/file_identity.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/fail.h"

namespace vernier {

namespace fs = std::filesystem;

namespace {

constexpr int kMaxLinks = 40;  // as the kernel's own limit

std::optional<struct stat> stat_of(const fs::path& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return std::nullopt;
  return info;
}

/// /dev/stdout and /proc/self/fd/1 may lead to a plain file, which is still this process's open stream.
bool is_own_stream(const fs::path& path) {
  const std::string text = path.lexically_normal().string();
  return text == "/dev/stdout" || text == "/dev/stderr" || text.starts_with("/dev/fd/") ||
         (text.starts_with("/proc/") && text.find("/fd/") != std::string::npos);
}

[[noreturn]] void refuse(const fs::path& path, const std::string& reason) {
  fail(ErrorKind::kIo, "cannot write {}: {}", path.string(), reason);
}

}  // namespace

bool same_file(const fs::path& a, const fs::path& b) {
  const auto first = stat_of(a), second = stat_of(b);
  return first && second && first->st_dev == second->st_dev && first->st_ino == second->st_ino;
}

fs::path output_target(const fs::path& path) {
  fs::path target = path;
  std::error_code code;
  for (int i = 0; fs::is_symlink(target, code); ++i) {
    if (i == kMaxLinks) refuse(path, "too many symbolic links");
    const fs::path next = fs::read_symlink(target, code);
    if (code) refuse(path, code.message());
    target = next.is_absolute() ? next : target.parent_path() / next;
  }
  return target;
}

bool is_stream(const fs::path& path) {
  if (is_own_stream(path)) return true;
  const auto info = stat_of(path);
  if (!info || S_ISREG(info->st_mode)) return false;
  if (S_ISDIR(info->st_mode)) refuse(path, "it is a folder; name a file");
  if (S_ISBLK(info->st_mode)) refuse(path, "it is a block device");
  if (S_ISSOCK(info->st_mode)) refuse(path, "it is a socket");
  return true;  // character devices and pipes
}

void require_writable_folder(const fs::path& folder) {
  fs::path there = folder.empty() ? fs::path(".") : folder;
  std::error_code code;
  while (!fs::exists(there, code) && !code) {
    if (fs::is_symlink(there, code)) refuse(folder, there.string() + " is a link to nothing");
    there = there.has_parent_path() && there.parent_path() != there ? there.parent_path() : fs::path(".");
  }
  if (code) refuse(folder, code.message());
  if (!fs::is_directory(there)) refuse(folder, there.string() + " is not a folder");
  // As whoever runs this, on whatever file system: by a file without a name, which leaves nothing behind.
  int fd = ::open(there.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
  if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT)) {  // not every file system has such files
    const fs::path probe = there / fmt::format(".vernier.{}.partial", ::getpid());
    fd = ::open(probe.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (fd >= 0) ::unlink(probe.c_str());
  }
  if (fd < 0) refuse(folder, fmt::format("{}: {}", there.string(), std::strerror(errno)));
  ::close(fd);
}

void require_writable(const fs::path& path) {
  if (path.empty() || path.filename().empty()) refuse(path, "expected the name of a file");
  if (is_stream(path)) {
    if (!is_own_stream(path) && ::access(path.c_str(), W_OK) != 0) refuse(path, std::strerror(errno));
    return;
  }
  require_writable_folder(output_target(path).parent_path());
}

}  // namespace vernier
