#include "cli/named_numbers.h"

#include <gtest/gtest.h>

#include "support/expect_error.h"

namespace vernier {
namespace {

TEST(NamedNumbers, NamesMayHoldTheSign) {
  const std::map<std::string, double, std::less<>> expected{{"en-US", 3}, {"a=b", 0.5}, {"c", 2}};
  EXPECT_EQ(named_numbers({"en-US=3", "a=b=5e-1", "c=1", "c=2"}, "--oversample", ""), expected);
  EXPECT_TRUE(named_numbers({}, "--oversample", "").empty());
}

TEST(NamedNumbers, OtherFormsSayWhatIsExpected) {
  for (const char* argument : {"en-US", "en-US=", "=3", "en-US=3x", "en-US=three", ""})
    expect_error(ErrorKind::kInvalidArgument, {"--oversample", argument, "GROUP=TIMES"},
                 [&] { named_numbers({argument}, "--oversample", "GROUP=TIMES"); });
}

}  // namespace
}  // namespace vernier
