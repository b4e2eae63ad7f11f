#include "base/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/fail.h"
#include "base/file_identity.h"
#include "base/mapped_file.h"

namespace vernier {

namespace fs = std::filesystem;

namespace {
void sync_folder(const fs::path& folder) {
  const int fd = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;  // not every file system lets a folder be opened; the rename itself is atomic
  ::fsync(fd);
  ::close(fd);
}

/// A file that is replaced stays whose it was and open to whom it was.
void keep_owner_and_mode(int fd, const fs::path& old) {
  struct stat info {};
  if (::stat(old.c_str(), &info) != 0) return;
  // Only the superuser may give a file away; whoever may not still keeps the group where they belong to it.
  if (::fchown(fd, info.st_uid, info.st_gid) != 0 && ::fchown(fd, static_cast<uid_t>(-1), info.st_gid) != 0)
    info.st_mode &= ~static_cast<mode_t>(S_ISUID | S_ISGID);
  ::fchmod(fd, info.st_mode & 07777);
}

/// Names of what is being written: read in a handler of signals, where nothing may be locked or allocated.
constexpr size_t kMostPartial = 64;
std::array<std::atomic<const char*>, kMostPartial> partial_files{};

void remember_partial(const char* name) {
  for (std::atomic<const char*>& place : partial_files)
    if (const char* free = nullptr; place.compare_exchange_strong(free, name)) return;
}

void forget_partial(const char* name) {
  for (std::atomic<const char*>& place : partial_files)
    if (const char* held = name; place.compare_exchange_strong(held, nullptr)) return;
}

void end_without_partial(int signal) {
  for (const std::atomic<const char*>& place : partial_files)
    if (const char* const name = place.load(); name != nullptr) ::unlink(name);
  ::signal(signal, SIG_DFL);
  ::raise(signal);
}

}  // namespace

void remove_partial_files_when_ended() {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction now {};
    // What a shell lets a program in the background pass over stays passed over.
    if (::sigaction(signal, nullptr, &now) == 0 && now.sa_handler == SIG_DFL) ::signal(signal, end_without_partial);
  }
  ::signal(SIGXFSZ, SIG_IGN);
}

OutputFile::OutputFile(const fs::path& path) : path_(path) {
  if (is_stream(path)) {
    fd_ = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd_ < 0) fail(ErrorKind::kIo, "open {}: {}", path.string(), std::strerror(errno));
    return;
  }
  target_ = output_target(path);
  std::error_code code;
  if (target_.has_parent_path()) fs::create_directories(target_.parent_path(), code);
  temporary_ = target_;
  temporary_ += fmt::format(".{}.partial", ::getpid());
  fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd_ < 0) fail(ErrorKind::kIo, "create {}: {}", temporary_.string(), std::strerror(errno));
  remember_partial(temporary_.c_str());
  keep_owner_and_mode(fd_, target_);
}

OutputFile::~OutputFile() {
  if (!temporary_.empty()) forget_partial(temporary_.c_str());
  if (fd_ < 0) return;
  ::close(fd_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void OutputFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(ErrorKind::kIo, "write {}: {}", path_.string(), std::strerror(errno));
    size_ += static_cast<uint64_t>(n);
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
}

void OutputFile::write(std::string_view text) { write(std::as_bytes(std::span(text))); }

void OutputFile::commit() {
  if (temporary_.empty()) {
    const int closed = ::close(fd_);
    fd_ = -1;
    if (closed != 0) fail(ErrorKind::kIo, "close {}: {}", path_.string(), std::strerror(errno));
    return;
  }
  if (::fsync(fd_) != 0) fail(ErrorKind::kIo, "fsync {}: {}", path_.string(), std::strerror(errno));
  const int closed = ::close(fd_);
  fd_ = -1;
  if (closed != 0 || ::rename(temporary_.c_str(), target_.c_str()) != 0) {
    const int code = errno;
    ::unlink(temporary_.c_str());
    fail(ErrorKind::kIo, "rename to {}: {}", target_.string(), std::strerror(code));
  }
  sync_folder(target_.parent_path());
}

void make_folder(const fs::path& folder) {
  std::error_code code;
  fs::create_directories(folder, code);
  if (code) fail(ErrorKind::kIo, "{}: this folder cannot be made: {}", folder.string(), code.message());
}

void remove_file(const fs::path& path) {
  std::error_code code;
  fs::remove(path, code);
  if (code) fail(ErrorKind::kIo, "{}: cannot be removed: {}", path.string(), code.message());
}

void write_file(const fs::path& path, std::string_view text) {
  OutputFile file(path);
  file.write(text);
  file.commit();
}

namespace {

/// From a pipe, such as a shell puts in a file's place, which has no size and cannot be mapped.
std::string read_pipe(const fs::path& path, uint64_t max_bytes) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail(ErrorKind::kIo, "open {}: {}", path.string(), std::strerror(errno));
  std::string text;
  char buffer[1 << 16];
  ssize_t n = 0;
  while (text.size() <= max_bytes && ((n = ::read(fd, buffer, sizeof(buffer))) > 0 || (n < 0 && errno == EINTR)))
    if (n > 0) text.append(buffer, static_cast<size_t>(n));
  const int code = n < 0 ? errno : 0;
  ::close(fd);
  if (code != 0) fail(ErrorKind::kIo, "read {}: {}", path.string(), std::strerror(code));
  if (text.size() > max_bytes) fail(ErrorKind::kIo, "read {}: expected at most {} bytes", path.string(), max_bytes);
  return text;
}

}  // namespace

std::string read_file(const fs::path& path, uint64_t max_bytes) {
  if (std::error_code code; fs::is_fifo(path, code)) return read_pipe(path, max_bytes);
  const MappedFile file(path);
  const auto bytes = file.bytes();
  if (bytes.size() > max_bytes)
    fail(ErrorKind::kIo, "read {}: {} bytes, expected at most {}", path.string(), bytes.size(), max_bytes);
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

}  // namespace vernier
