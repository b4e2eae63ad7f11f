#include "ops/cgroup.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>

namespace vernier {

namespace fs = std::filesystem;

namespace {

/// Both files of version 1 and the one of version 2 hold microseconds per period; "max" and -1 mean no limit.
std::optional<int> quota_in(const fs::path& folder) {
  int64_t quota = 0, period = 0;
  std::ifstream two(folder / "cpu.max"), one(folder / "cpu.cfs_quota_us"), one_period(folder / "cpu.cfs_period_us");
  if (!(two >> quota >> period) && !(one >> quota && one_period >> period)) return std::nullopt;
  if (quota <= 0 || period <= 0) return std::nullopt;
  return static_cast<int>(std::min<int64_t>((quota - 1) / period + 1, 1 << 20));
}

/// The group itself and all that it lies in, up to `root`; a container that does not see its own folder sees `root`.
void take_smallest(std::optional<int>& smallest, const fs::path& root, const fs::path& group) {
  for (fs::path inside = group.relative_path();; inside = inside.parent_path()) {
    if (const std::optional<int> quota = quota_in(root / inside))
      smallest = std::min(smallest.value_or(*quota), *quota);
    if (inside.empty()) return;
  }
}

}  // namespace

std::optional<int> cgroup_processors(const fs::path& membership, const fs::path& root) {
  std::optional<int> smallest;
  std::ifstream file(membership);
  for (std::string line; std::getline(file, line);) {  // number:controllers:path, without controllers in version 2
    std::istringstream parts(line);
    std::string number, controllers, group;
    if (!std::getline(parts, number, ':') || !std::getline(parts, controllers, ':') || !std::getline(parts, group))
      continue;
    if (controllers.empty()) take_smallest(smallest, root, group);
    if (("," + controllers + ",").find(",cpu,") != std::string::npos) take_smallest(smallest, root / "cpu", group);
  }
  return smallest;
}

}  // namespace vernier
