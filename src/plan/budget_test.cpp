#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/expect_error.h"
#include "vernier/plan.h"

namespace vernier {
namespace {

struct Spelling {
  const char* text;
  Budget::Kind kind;
  double value;
  uint64_t bytes;  ///< for uniform int4 1,000, 800 parameters, 16-bit 1,601
};

void PrintTo(const Spelling& spelling, std::ostream* out) { *out << spelling.text; }

class BudgetSpelling : public testing::TestWithParam<Spelling> {};

TEST_P(BudgetSpelling, ParsesAndCounts) {
  const Budget budget = Budget::parse(GetParam().text);
  EXPECT_EQ(budget.kind, GetParam().kind);
  EXPECT_DOUBLE_EQ(budget.value, GetParam().value);
  EXPECT_EQ(budget.bytes(1000, 800, 1601), GetParam().bytes);
}

using Kind = Budget::Kind;
INSTANTIATE_TEST_SUITE_P(All, BudgetSpelling,
                         testing::Values(Spelling{"+10%", Kind::kOverUniformInt4, 10, 1100},
                                         Spelling{"+0%", Kind::kOverUniformInt4, 0, 1000},
                                         Spelling{"+0.3%", Kind::kOverUniformInt4, 0.3, 1003},  // not 1002.99...
                                         Spelling{"+12.55 %", Kind::kOverUniformInt4, 12.55, 1125},
                                         Spelling{"4.5bpw", Kind::kBitsPerWeight, 4.5, 450},
                                         Spelling{"4.499BPW", Kind::kBitsPerWeight, 4.499, 449},
                                         Spelling{"50%", Kind::kShareOf16Bit, 50, 800},
                                         Spelling{" 16950144\t", Kind::kBytes, 16950144, 16950144},
                                         Spelling{"12B", Kind::kBytes, 12, 12}, Spelling{"0", Kind::kBytes, 0, 0},
                                         Spelling{"3.8GiB", Kind::kBytes, 4080218931, 4080218931},
                                         Spelling{"3.8 gb", Kind::kBytes, 3800000000, 3800000000},
                                         Spelling{"1.5KiB", Kind::kBytes, 1536, 1536},
                                         Spelling{"2MiB", Kind::kBytes, 2097152, 2097152},
                                         Spelling{"8192TiB", Kind::kBytes, 9007199254740992, 9007199254740992}));

TEST(Budget, KeepsTheUsersText) { EXPECT_EQ(Budget::parse(" +10% ").text, "+10%"); }

TEST(Budget, RejectsJunkAndListsTheSpellings) {
  for (const char* text : {"",        " ",
                           "+",       "%",
                           "-1",      "-5%",
                           "+-5%",    "nan",
                           "inf",     "+nan%",
                           "1e9",     "1e9GiB",
                           "0x10",    "4.5",
                           "1.2.3",   ".",
                           "+10",     "+4bpw",
                           "10%%",    "4.5bp",
                           "3GiBs",   "3 G iB",
                           "65bpw",   "1000001%",
                           "8193TiB", "99999999999999999999999",
                           "1.5B",    "++1%",
                           "٣%"}) {
    try {
      Budget::parse(text);
      ADD_FAILURE() << "accepted \"" << text << '"';
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::kInvalidArgument) << text;
      for (const char* spelling : {"+10%", "4.5bpw", "3.8GiB", "16950144", "50%"})
        EXPECT_THAT(e.what(), testing::HasSubstr(spelling));
    }
  }
  expect_error(ErrorKind::kInvalidArgument, {"budget: \"9999999", "a number beyond any file"},
               [] { Budget::parse(std::string(100000, '9')); });
}

TEST(Budget, NeverRoundsUpNorOverflows) {
  EXPECT_EQ(Budget::parse("+10%").bytes(16950144, 0, 0), 18645158u);  // 18,645,158.4
  expect_error(ErrorKind::kInvalidArgument, {"budget: \"+1000000%\": more than 2^60 bytes"},
               [] { Budget::parse("+1000000%").bytes(UINT64_MAX, 0, 0); });
  expect_error(ErrorKind::kInvalidArgument, {"budget: \"64bpw\": more than 2^60 bytes"},
               [] { Budget::parse("64bpw").bytes(0, UINT64_MAX, 0); });
}

}  // namespace
}  // namespace vernier
