#pragma once

// The control groups of this process, and the share of processor time that a container was given, which its processors do
// not show.

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

namespace vernier {

/// Calls fn with the folder of this process's control group and of those around it, where `controller` ("cpu", "memory")
/// may be limited: of version 2, and of that controller in version 1. `membership` is /proc/self/cgroup, `root` where
/// control groups are mounted.
void for_each_cgroup(const std::filesystem::path& membership, const std::filesystem::path& root,
                     const std::string& controller, const std::function<void(const std::filesystem::path&)>& fn);

/// The smallest quota of this process's control group and of those around it, in processors, rounded up; nothing where
/// there is none. `membership` is /proc/self/cgroup, `root` where control groups are mounted (versions 1 and 2).
/// @source the kernel's Documentation/admin-guide/cgroup-v2.rst (cpu.max) and scheduler/sched-bwc.rst (cpu.cfs_quota_us)
std::optional<int> cgroup_processors(const std::filesystem::path& membership, const std::filesystem::path& root);

}  // namespace vernier
