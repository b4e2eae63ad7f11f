#pragma once

// Shared by the tests of the containers: a folder that goes away, files from bytes, and damaged copies of good ones.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/output_file.h"
#include "support/expect_error.h"
#include "support/scratch.h"
#include "vernier/error.h"

namespace vernier {

inline std::filesystem::path fixture(const char* name) {
  return std::filesystem::path(VERNIER_SOURCE_DIR) / "tests/fixtures/format" / name;
}

class FormatTest : public ::testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  /// Plain writes without fsync, and a new file each time: some file systems flush one that is truncated and rewritten.
  std::filesystem::path file(const std::string& name, std::string_view bytes) const {
    const std::filesystem::path path = folder_ / name;
    std::filesystem::remove(path);
    FILE* out = std::fopen(path.c_str(), "wb");
    EXPECT_NE(out, nullptr);
    EXPECT_EQ(std::fwrite(bytes.data(), 1, bytes.size(), out), bytes.size());
    std::fclose(out);
    return path;
  }

  std::filesystem::path folder_ = scratch_path("vernier_format");
};

inline std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

template <class T>
std::vector<T> values_of(std::span<const std::byte> bytes) {
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
  return values;
}

/// The bytes of a number as they lie in a file.
template <class T>
std::string raw(T value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof value);
}

/// Opens `rounds` damaged copies of `good`, 1 to 4 random bytes changed in each, the header more often than the data.
/// Whatever opens must be readable to its last byte; the only exception is Error. Returns how many were refused.
template <class Open>
int open_damaged(const std::string& good, size_t header_bytes, int rounds, const Open& open) {
  std::mt19937 random(20240607);
  int refused = 0;
  for (int round = 0; round < rounds; ++round) {
    std::string bad = good;
    for (unsigned flips = 1 + random() % 4; flips-- > 0;)
      bad[random() % (random() % 8 == 0 ? bad.size() : header_bytes)] = static_cast<char>(random());
    if (random() % 8 == 0) bad.resize(random() % bad.size());
    try {
      open(bad);
    } catch (const Error&) {
      ++refused;
    }
  }
  return refused;
}

}  // namespace vernier
