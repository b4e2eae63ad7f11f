#include "data/csv.h"

#include "support/expect_error.h"

namespace vernier {
namespace {

using ::testing::ElementsAre;

TEST(Csv, QuotedCellsHoldCommasQuotesAndLines) {
  const CsvTable table = parse_csv(
      "\xEF\xBB\xBF"
      "path,label,note\r\n\"a,b.png\",\"say \"\"x\"\"\",\"two\r\nlines\"\r\n\r\nc,,\r\n",
      "t.csv");
  EXPECT_THAT(table.header, ElementsAre("path", "label", "note"));
  ASSERT_EQ(table.rows.size(), 2u);
  EXPECT_THAT(table.rows[0].cells, ElementsAre("a,b.png", "say \"x\"", "two\nlines"));
  EXPECT_EQ(table.rows[0].line, 2);
  EXPECT_THAT(table.rows[1].cells, ElementsAre("c", "", ""));
  EXPECT_EQ(table.rows[1].line, 5);
  EXPECT_EQ(table.column("note"), 2u);
  EXPECT_FALSE(table.column("Label"));
}

TEST(Csv, LastLineNeedsNoEnd) {
  EXPECT_THAT(parse_csv("a,b\n1,\"2\"", "t").rows.at(0).cells, ElementsAre("1", "2"));
  EXPECT_THAT(parse_csv("a,b\n1,", "t").rows.at(0).cells, ElementsAre("1", ""));
}

TEST(Csv, DefectsAreNamedByLine) {
  const auto refused = [](const char* text, const std::vector<std::string>& parts) {
    expect_error(ErrorKind::kBadFile, parts, [&] { parse_csv(text, "t.csv"); });
  };
  refused("", {"t.csv", "empty"});
  refused("a,b\n1,2\n3\n", {"t.csv:3", "1 cells", "expected 2"});
  refused("a,b\n1,2,3\n", {"t.csv:2", "3 cells"});
  refused("a,b\n1,\"2\n3,4\n", {"t.csv:2", "never closed"});
  refused("a,b\n1,2\"x\"\n", {"t.csv:2", "quote inside"});
  refused("a,b\n1,\"2\"x\n", {"t.csv:2", "'x' behind"});
  refused("a,a\n", {"t.csv:1", "named \"a\""});
  refused("a,b\n1,\xFF\n", {"line 2", "0xFF"});
}

}  // namespace
}  // namespace vernier
