#include "ops/free_memory.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/output_file.h"
#include "support/scratch.h"

namespace vernier {
namespace {

namespace fs = std::filesystem;

class FreeMemoryTest : public ::testing::Test {
 protected:
  fs::path folder_ = scratch_path("vernier_free_memory");
  void SetUp() override { fs::remove_all(folder_); }
  void TearDown() override { fs::remove_all(folder_); }
  void put(const char* name, const char* text) { write_file(folder_ / name, text); }
  int64_t bytes() const { return free_memory(folder_ / "meminfo", folder_ / "membership", folder_ / "root"); }
};

TEST_F(FreeMemoryTest, OfTheMachine) {
  EXPECT_EQ(bytes(), std::numeric_limits<int64_t>::max()) << "nothing says";
  put("meminfo", "MemTotal:  2000 kB\nMemAvailable:    1000 kB\n");
  EXPECT_EQ(bytes(), 1000 * 1024);
  put("membership", "0::/\n");
  put("root/memory.max", "max\n");
  put("root/memory.current", "4096\n");
  EXPECT_EQ(bytes(), 1000 * 1024) << "no limit";
  EXPECT_GT(free_memory(), 0);
}

TEST_F(FreeMemoryTest, OfTheControlGroupsAroundTheProcess) {
  put("meminfo", "MemAvailable:    1000 kB\n");
  put("membership", "0::/user/build\n");
  put("root/user/memory.max", "500000\n");
  put("root/user/memory.current", "300000\n");
  EXPECT_EQ(bytes(), 200000);
  put("root/user/memory.stat", "anon 200000\ninactive_file 90000\nactive_file 5\n");
  EXPECT_EQ(bytes(), 290000) << "of files that are let go";
  put("root/user/build/memory.max", "100000\n");
  put("root/user/build/memory.current", "120000\n");
  EXPECT_EQ(bytes(), 0) << "above its limit";
}

TEST_F(FreeMemoryTest, OfVersionOne) {
  put("meminfo", "MemAvailable:    1000 kB\n");
  put("membership", "9:cpu,cpuacct:/a\n4:memory:/a\n");
  put("root/memory/a/memory.limit_in_bytes", "70000\n");
  put("root/memory/a/memory.usage_in_bytes", "20000\n");
  EXPECT_EQ(bytes(), 50000);
}

}  // namespace
}  // namespace vernier
