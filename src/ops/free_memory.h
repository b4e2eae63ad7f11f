#pragma once

// How much memory this process may still take: of the machine, and of the control group that it runs in.

#include <cstdint>
#include <filesystem>

namespace vernier {

/// Bytes, at least 0: the least of what is available on the machine and of what its control groups leave. Files that the
/// system holds in memory count as free. A large number where nothing says.
int64_t free_memory();

/// The same by other files. @param meminfo as /proc/meminfo @param membership as /proc/self/cgroup @param root where
/// control groups are mounted @source the kernel's Documentation/admin-guide/cgroup-v2.rst (memory.max, memory.current)
/// and cgroup-v1/memory.rst (memory.limit_in_bytes, memory.usage_in_bytes, memory.stat)
int64_t free_memory(const std::filesystem::path& meminfo, const std::filesystem::path& membership,
                    const std::filesystem::path& root);

}  // namespace vernier
