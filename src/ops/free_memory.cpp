#include "ops/free_memory.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>
#include <string>

#include "ops/cgroup.h"

namespace vernier {

namespace fs = std::filesystem;

namespace {

std::optional<int64_t> number_in(const fs::path& path) {
  std::ifstream file(path);
  int64_t value = 0;
  if (file >> value) return value;
  return std::nullopt;  // also "max"
}

/// Of "name value" lines.
int64_t named_in(const fs::path& path, const std::string& wanted) {
  std::ifstream file(path);
  for (std::string name; file >> name;)
    if (int64_t value = 0; file >> value && name == wanted) return value;
  return 0;
}

std::optional<int64_t> available_in(const fs::path& meminfo) {
  std::ifstream file(meminfo);
  for (std::string line; std::getline(file, line);) {
    std::istringstream parts(line);
    std::string name;
    int64_t kib = 0;
    if (parts >> name >> kib && name == "MemAvailable:") return kib << 10;
  }
  return std::nullopt;
}

}  // namespace

int64_t free_memory(const fs::path& meminfo, const fs::path& membership, const fs::path& root) {
  int64_t least = available_in(meminfo).value_or(std::numeric_limits<int64_t>::max());
  for_each_cgroup(membership, root, "memory", [&](const fs::path& folder) {
    std::optional<int64_t> limit = number_in(folder / "memory.max"), used = number_in(folder / "memory.current");
    if (!limit) limit = number_in(folder / "memory.limit_in_bytes"), used = number_in(folder / "memory.usage_in_bytes");
    if (!limit || !used) return;
    const int64_t files = named_in(folder / "memory.stat", "inactive_file");  // let go when something else needs them
    least = std::min(least, *limit - *used + files);
  });
  return std::max<int64_t>(least, 0);
}

int64_t free_memory() { return free_memory("/proc/meminfo", "/proc/self/cgroup", "/sys/fs/cgroup"); }

}  // namespace vernier
