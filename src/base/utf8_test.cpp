#include "base/utf8.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "vernier/error.h"

namespace vernier {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using std::string_view_literals::operator""sv;

TEST(ByteOrderMark, OfUtf8IsReadOver) {
  EXPECT_EQ(without_byte_order_mark("\xEF\xBB\xBFtext", "x"), "text");
  EXPECT_EQ(without_byte_order_mark("\xEF\xBB\xBF", "x"), "");
  EXPECT_EQ(without_byte_order_mark("text\xEF\xBB\xBF", "x"), "text\xEF\xBB\xBF") << "elsewhere it is a character";
  EXPECT_EQ(without_byte_order_mark("\xEF\xBB", "x"), "\xEF\xBB");
}

TEST(ByteOrderMark, OfAnotherEncodingIsRefused) {
  const std::pair<std::string_view, const char*> cases[] = {{"\xFF\xFEt\0"sv, "UTF-16"},
                                                            {"\xFE\xFF\0t"sv, "UTF-16"},
                                                            {"\xFF\xFE\0\0t\0\0\0"sv, "UTF-32"},
                                                            {"\0\0\xFE\xFF\0\0\0t"sv, "UTF-32"}};
  for (const auto& [text, encoding] : cases) {
    for (const bool json : {false, true}) try {
        if (json)
          parse_json(text, "plan.json");
        else
          without_byte_order_mark(text, "plan.json");
        ADD_FAILURE() << "read " << encoding;
      } catch (const Error& e) {
        EXPECT_EQ(e.kind(), ErrorKind::kBadFile);
        EXPECT_THAT(e.what(), AllOf(HasSubstr("plan.json"), HasSubstr(std::string("iconv -f ") + encoding)));
      }
  }
}

TEST(ByteOrderMark, JsonMayHaveOne) { EXPECT_EQ(parse_json("\xEF\xBB\xBF{\"a\": 1}\r\n", "x")["a"], 1); }

}  // namespace
}  // namespace vernier
