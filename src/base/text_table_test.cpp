#include "base/text_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace vernier {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines{""};
  for (const char c : text) {
    if (c == '\n')
      lines.emplace_back();
    else
      lines.back() += c;
  }
  lines.pop_back();
  return lines;
}

TEST(TextTable, AlignsByCharacters) {
  TextTable table({"plan", "KL"});
  table.add({"größer", "0.5"});
  table.add({"a"});
  EXPECT_EQ(table.str(), "plan     KL\n-----------\ngrößer  0.5\na\n");
}

TEST(TextTable, AlignsByWhatATerminalShows) {
  TextTable table({"group", "KL"});
  table.add({"中文", "1"});
  table.add({"cafe\u0301", "22"});  // the accent combines with the letter before it
  table.add({"हिन्दी", "3"});
  EXPECT_EQ(display_width("中文"), 4u);
  EXPECT_EQ(display_width("cafe\u0301"), 4u);
  EXPECT_EQ(display_width("\xFF"), 1u) << "shown as one replacement character";
  const auto lines = lines_of(table.str());
  ASSERT_EQ(lines.size(), 5u);
  EXPECT_EQ(lines[2], "中文    1");
  for (const std::string& line : lines) EXPECT_EQ(display_width(line), lines[1].size()) << line;
}

TextTable plan_table() {
  TextTable table({"tensor", "bytes", "predicted KL", "reason"});
  table.add({"blk.0.attn_q.weight", "36864", "0.0012 ± 0.0001",
             "gguf:q6_k would cost 12,288 bytes more and save 0.0001 nats, less than the budget's price"});
  table.add({"blk.0.attn_v.weight", "1234567890", "-", "the largest"});
  return table;
}

TEST(TextTable, FitsTheWidthByCuttingTexts) {
  const TextTable table = plan_table();
  const std::string whole = table.str();
  EXPECT_EQ(table.str(200), whole) << "it fits";
  for (const size_t width : {120, 100, 80, 70}) {
    const std::string text = table.str(width);
    for (const std::string& line : lines_of(text)) EXPECT_LE(display_width(line), width) << line;
    EXPECT_THAT(text, HasSubstr("…"));
    for (const char* figure : {"36864", "0.0012 ± 0.0001", "1234567890", "the largest"})
      EXPECT_THAT(text, HasSubstr(figure)) << width;
    // The reason is longer, so that it is cut before the names are.
    if (width >= 80) {
      EXPECT_THAT(text, HasSubstr("blk.0.attn_q.weight")) << width;
    }
  }
}

TEST(TextTable, NeverCutsANumberOrBelowSense) {
  const std::string text = plan_table().str(10);
  for (const char* figure : {"36864", "0.0012 ± 0.0001", "1234567890", "blk.0.attn_q.we…", "predicted KL"})
    EXPECT_THAT(text, HasSubstr(figure));
  TextTable figures({"a", "b"});
  figures.add({"1234567890123456789012345", "9.87e-05 ± 1.2e-06 and nothing to cut"});
  EXPECT_THAT(figures.str(20), HasSubstr("1234567890123456789012345"));
  TextTable mixed({"figure", "value"});
  mixed.add({"activations", "rounded as llama.cpp does on a processor of this kind"});
  mixed.add({"KL", "0.0012345678901234 ± 0.0000001"});
  EXPECT_THAT(mixed.str(24), HasSubstr("0.0012345678901234 ± 0.0000001"));
  EXPECT_THAT(mixed.str(24), Not(HasSubstr("of this kind")));
}

TEST(TextTable, CutsWideCharactersWhole) {
  TextTable table({"group", "KL"});
  table.add({"中文中文中文中文中文中文", "1"});
  for (const size_t width : {20, 21, 22}) {
    const auto lines = lines_of(table.str(width));
    EXPECT_LE(display_width(lines[2]), width);
    EXPECT_THAT(lines[2], HasSubstr("中文中文"));
    EXPECT_EQ(lines[2].back(), '1');
    EXPECT_EQ(display_width(lines[2]), lines[1].size());
  }
}

TEST(NumberCell, WhatIsNotThereIsADash) {
  EXPECT_EQ(number_cell(0.12345, 3), "0.123");
  EXPECT_EQ(number_cell(0.12345, 3, true), "+0.123");
  EXPECT_EQ(number_cell(std::numeric_limits<double>::quiet_NaN(), 3), "-");
  EXPECT_EQ(number_cell(std::numeric_limits<double>::infinity(), 3, true), "-");
}

TEST(TextTable, WordsStandAtTheLeftAndFiguresEndBelowEachOther) {
  TextTable table({"tensor", "scheme", "KL", "compared", "reason"});
  table.add({"embed", "q4_k", "0.5", "10.25 [9.00, 11.50]", "long"});
  table.add({"L0", "-", "-", "9.50 worse", ""});
  EXPECT_EQ(lines_of(table.str())[2], "embed   q4_k    0.5  10.25 [9.00, 11.50]  long");
  EXPECT_EQ(lines_of(table.str())[3], "L0      -         -           9.50 worse");
}

}  // namespace
}  // namespace vernier
