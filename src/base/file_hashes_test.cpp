#include "base/file_hashes.h"

#include <gtest/gtest.h>

#include "base/hash.h"
#include "base/output_file.h"
#include "support/scratch.h"
#include "vernier/error.h"

namespace vernier {
namespace {

namespace fs = std::filesystem;

TEST(FileHashes, AFileIsReadOncePerContent) {
  const fs::path folder = scratch_path("vernier_file_hashes");
  fs::remove_all(folder);
  const fs::path file = folder / "a", other_name = folder / "b";
  const std::string first(1000, 'x'), second(1000, 'y');
  FileHashes hashes;
  const auto read_by = [&](const fs::path& path) {
    const uint64_t before = hashed_bytes();
    hashes.of(path);
    return hashed_bytes() - before;
  };
  write_file(file, first);
  EXPECT_EQ(read_by(file), 1000u);
  EXPECT_EQ(read_by(file), 0u);
  EXPECT_EQ(hashes.of(file), hash_text(first));
  fs::create_hard_link(file, other_name);
  EXPECT_EQ(read_by(other_name), 0u);

  write_file(file, second);  // as artefacts are: a new file takes the name over
  EXPECT_EQ(hashes.of(file), hash_text(second));
  EXPECT_EQ(hashes.of(other_name), hash_text(first));
  fs::last_write_time(file, fs::last_write_time(file) + std::chrono::seconds(1));
  EXPECT_EQ(read_by(file), 1000u) << "only the time tells a change in place";
  fs::remove(file);
  EXPECT_THROW(hashes.of(file), Error);
  fs::remove_all(folder);
}

}  // namespace
}  // namespace vernier
