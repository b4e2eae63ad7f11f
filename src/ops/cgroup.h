#pragma once

// The share of processor time that a container was given, which its processors do not show.

#include <filesystem>
#include <optional>

namespace vernier {

/// The smallest quota of this process's control group and of those around it, in processors, rounded up; nothing where
/// there is none. `membership` is /proc/self/cgroup, `root` where control groups are mounted (versions 1 and 2).
/// @source the kernel's Documentation/admin-guide/cgroup-v2.rst (cpu.max) and scheduler/sched-bwc.rst (cpu.cfs_quota_us)
std::optional<int> cgroup_processors(const std::filesystem::path& membership, const std::filesystem::path& root);

}  // namespace vernier
