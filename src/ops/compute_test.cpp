#include "vernier/compute.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <filesystem>

#include "base/output_file.h"
#include "ops/cgroup.h"
#include "support/expect_error.h"
#include "support/scratch.h"

namespace vernier {
namespace {

namespace fs = std::filesystem;

TEST(ResolveThreads, NoMoreThanProcessors) {
  const int available = available_processors();
  cpu_set_t allowed;
  ASSERT_EQ(::sched_getaffinity(0, sizeof allowed, &allowed), 0);
  EXPECT_GE(available, 1);
  EXPECT_LE(available, CPU_COUNT(&allowed));
  EXPECT_EQ(resolve_threads({.threads = 0}), available);
  EXPECT_EQ(resolve_threads({.threads = 1}), 1);
  EXPECT_EQ(resolve_threads({.threads = 64 * available}), available);
}

class CgroupTest : public ::testing::Test {
 protected:
  fs::path folder_ = scratch_path("vernier_cgroup");
  void SetUp() override { fs::remove_all(folder_); }
  void TearDown() override { fs::remove_all(folder_); }
  void put(const char* name, const char* text) { write_file(folder_ / name, text); }
  std::optional<int> processors() const { return cgroup_processors(folder_ / "membership", folder_ / "root"); }
};

TEST_F(CgroupTest, NothingWithoutAQuota) {
  EXPECT_EQ(processors(), std::nullopt) << "no control groups at all";
  put("membership", "0::/\n");
  EXPECT_EQ(processors(), std::nullopt);
  put("root/cpu.max", "max 100000\n");
  EXPECT_EQ(processors(), std::nullopt);
  put("root/cpu.max", "0 100000\n");
  EXPECT_EQ(processors(), std::nullopt);
  put("root/cpu.max", "much");
  EXPECT_EQ(processors(), std::nullopt);
}

TEST_F(CgroupTest, TheSmallestQuotaAroundTheProcessCounts) {
  put("membership", "0::/user/build\n");
  put("root/user/build/cpu.max", "max 100000\n");
  put("root/user/cpu.max", "150000 100000\n");
  put("root/cpu.max", "800000 100000\n");
  EXPECT_EQ(processors(), 2) << "one and a half, rounded up";
  put("root/user/build/cpu.max", "50000 100000\n");
  EXPECT_EQ(processors(), 1);
  put("membership", "0::/not/seen/from/inside\n");
  EXPECT_EQ(processors(), 8);
}

TEST_F(CgroupTest, VersionOneHasTwoFiles) {
  put("membership", "5:memory:/box\n4:cpu,cpuacct:/box\n1:name=systemd:/\n");
  put("root/cpu/box/cpu.cfs_quota_us", "-1\n");
  put("root/cpu/box/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(processors(), std::nullopt);
  put("root/cpu/box/cpu.cfs_quota_us", "300000\n");
  EXPECT_EQ(processors(), 3);
}

TEST(Activations, AreSpelledAsSchemesAre) {
  for (const char* name : {"exact", "llama.cpp", "int8:token:sym7", "int4:tensor:sym7"})
    EXPECT_EQ(Activations::parse(name).name(), name);
  EXPECT_EQ(Activations::parse("int6:token"), Activations(Activations::Kind::kPerToken, 6));
  EXPECT_EQ(Activations(), Activations::kExact);
  for (const char* name : {"", "int8", "int9:token", "int1:token", "int8:channel", "int8:token:sym", "int8:token:asym"})
    expect_error(ErrorKind::kInvalidArgument, {"activations", "int8:token", name}, [&] { Activations::parse(name); });
}

}  // namespace
}  // namespace vernier
