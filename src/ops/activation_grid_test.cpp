#include "vernier/activation_grid.h"

#include <gtest/gtest.h>

#include "support/expect_error.h"

namespace vernier {
namespace {

TEST(ActivationGrids, AreReadAsTheyAreWritten) {
  using Span = ActivationGrid::Span;
  using Range = ActivationGrid::Range;
  EXPECT_EQ(ActivationGrid::parse("int8:token"), (ActivationGrid{8, Span::kToken, Range::kDynamic}));
  EXPECT_EQ(ActivationGrid::parse("int6:tensor"), (ActivationGrid{6, Span::kTensor, Range::kLargest}));
  EXPECT_EQ(ActivationGrid::parse("int4:channel"), (ActivationGrid{4, Span::kChannel, Range::kLargest}));
  EXPECT_EQ(ActivationGrid::parse("int4:channel").name(), "int4:channel:max");
  for (const char* name : {"int2:token", "int8:tensor:max", "int8:tensor:percentile", "int4:tensor:mse",
                           "int8:tensor:entropy", "int8:tensor:dynamic", "int6:channel:dynamic"})
    EXPECT_EQ(ActivationGrid::parse(name).name(), name);
  EXPECT_FALSE(ActivationGrid::parse("int8:tensor:dynamic").is_static());
  for (const char* name : {"", "int8", "int9:token", "int1:token", "int8:channel:mse", "int8:token:max", "fp8"})
    expect_error(ErrorKind::kInvalidArgument, {"activation grid", "int8:token", name},
                 [&] { ActivationGrid::parse(name); });
}

TEST(CacheFormats, AreReadAsTheyAreWritten) {
  for (const char* name : {"exact", "int2", "int8", "q8_0", "q4_0", "fp8"})
    EXPECT_EQ(CacheFormat::parse(name).name(), name);
  EXPECT_EQ(CacheFormat::parse("int3"), (CacheFormat{CacheFormat::Kind::kInteger, 3}));
  for (const char* name : {"", "int1", "int9", "q5_1"})
    expect_error(ErrorKind::kInvalidArgument, {"cache format", "q8_0", name}, [&] { CacheFormat::parse(name); });
}

}  // namespace
}  // namespace vernier
