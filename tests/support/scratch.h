#pragma once

#include <unistd.h>

#include <filesystem>
#include <random>
#include <string>

namespace vernier {

/// A name under the temporary folder that no test running beside this one has, also where containers with process ids of
/// their own share the folder, and that no killed test has left behind.
inline std::filesystem::path scratch_path(const std::string& name) {
  static const std::string process = std::to_string(::getpid()) + "_" + std::to_string(std::random_device{}());
  return std::filesystem::temp_directory_path() / (name + "_" + process);
}

}  // namespace vernier
