#pragma once

#include <unistd.h>

#include <filesystem>
#include <string>

namespace vernier {

/// A name under the temporary folder that no test running beside this one has.
inline std::filesystem::path scratch_path(const std::string& name) {
  return std::filesystem::temp_directory_path() / (name + "_" + std::to_string(::getpid()));
}

}  // namespace vernier
