#pragma once

// Content hashes that tie an artefact to its inputs: XXH3, 128 bits, as 32 hexadecimal digits.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace vernier {

class Hasher {
 public:
  Hasher();
  ~Hasher();
  void add(std::span<const std::byte> bytes);
  void add(std::string_view text);  ///< the length goes in too, so that ("ab","c") and ("a","bc") differ
  std::string hex() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string hash_text(std::string_view text);
/// Bytes that this process has hashed so far: tests count with it how often something is read.
uint64_t hashed_bytes();
/// @throws Error{kIo}
std::string hash_file(const std::filesystem::path& path);

}  // namespace vernier
