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
void for_each_around(const fs::path& root, const fs::path& group, const std::function<void(const fs::path&)>& fn) {
  for (fs::path inside = group.relative_path();; inside = inside.parent_path()) {
    fn(root / inside);
    if (inside.empty()) return;
  }
}

}  // namespace

void for_each_cgroup(const fs::path& membership, const fs::path& root, const std::string& controller,
                     const std::function<void(const fs::path&)>& fn) {
  std::ifstream file(membership);
  for (std::string line; std::getline(file, line);) {  // number:controllers:path, without controllers in version 2
    std::istringstream parts(line);
    std::string number, controllers, group;
    if (!std::getline(parts, number, ':') || !std::getline(parts, controllers, ':') || !std::getline(parts, group))
      continue;
    if (controllers.empty()) for_each_around(root, group, fn);
    if (("," + controllers + ",").find("," + controller + ",") != std::string::npos)
      for_each_around(root / controller, group, fn);
  }
}

std::optional<int> cgroup_processors(const fs::path& membership, const fs::path& root) {
  std::optional<int> smallest;
  for_each_cgroup(membership, root, "cpu", [&](const fs::path& folder) {
    if (const std::optional<int> quota = quota_in(folder)) smallest = std::min(smallest.value_or(*quota), *quota);
  });
  return smallest;
}

}  // namespace vernier
