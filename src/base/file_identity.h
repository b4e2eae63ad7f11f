#pragma once

// Which file a path means, whatever its name: what is written must never be what is read.
//
//   if (same_file(output, input)) ...;          // through symbolic links and hard links
//   require_writable("out/plan.json");          // before hours of work, not after

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace vernier {

/// True when both are there and are one file: device and inode.
bool same_file(const std::filesystem::path& a, const std::filesystem::path& b);

/// The path that writing to `path` ends at: symbolic links are followed, also to what is not there yet.
/// @throws Error{kIo} when the links go round in a circle
std::filesystem::path output_target(const std::filesystem::path& path);

/// Whether bytes go straight through to what is there (a device, a pipe, this process's own streams), which cannot be
/// replaced by a finished file. @throws Error{kIo} for folders, block devices and sockets
bool is_stream(const std::filesystem::path& path);

/// Leaves nothing behind. @throws Error{kIo} saying why `path` cannot be created or replaced
void require_writable(const std::filesystem::path& path);
/// The same for a folder that files will be written to.
void require_writable_folder(const std::filesystem::path& folder);

}  // namespace vernier
