#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/output_file.h"
#include "support/scratch.h"
#include "vernier/data.h"
#include "vernier/error.h"

namespace vernier {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using std::string_view_literals::operator""sv;

void expect_refused(std::string_view bytes, const std::string& place, const std::string& why) {
  try {
    text_from_bytes(bytes, "notes.txt");
    ADD_FAILURE() << "read a text with " << why;
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kBadFile);
    EXPECT_THAT(e.what(), AllOf(HasSubstr("data: notes.txt: " + place), HasSubstr(why)));
  }
}

TEST(TextFile, LineEndsBecomeOne) {
  const TextFile file = text_from_bytes("a\r\nb\rc\n\r\n\r", "x");
  EXPECT_EQ(file.text, "a\nb\nc\n\n\n");
  EXPECT_EQ(file.carriage_returns, 4);
  EXPECT_FALSE(file.byte_order_mark);
  const TextFile plain = text_from_bytes("a\nb \t\u00E9\U0001F642\n", "x");
  EXPECT_EQ(plain.text, "a\nb \t\u00E9\U0001F642\n");
  EXPECT_EQ(plain.carriage_returns, 0);
  EXPECT_EQ(text_from_bytes("", "x").text, "");
}

TEST(TextFile, ByteOrderMarkIsRemovedAndSaid) {
  const TextFile file = text_from_bytes("\xEF\xBB\xBFtext\n", "x");
  EXPECT_EQ(file.text, "text\n");
  EXPECT_TRUE(file.byte_order_mark);
}

TEST(TextFile, WhatIsNotUtf8IsRefusedByPlace) {
  expect_refused("\xFF\xFEt\0e\0"sv, "got UTF-16", "iconv -f UTF-16");
  expect_refused("a\nt\0e\0"sv, "byte 3 (line 2)", "NUL");
  expect_refused("\x7F\x45\x4C\x46\x02\x01\x01\0"sv, "byte 7 (line 1)", "NUL");
  expect_refused("one\ntwo\ncaf\xE9 au lait\n", "byte 11 (line 3)", "0xE9");
  expect_refused("\xEF\xBB\xBF\xC0\xAF ", "byte 3 (line 1)", "0xC0");  // places are those of the file
  expect_refused("surrogate \xED\xA0\x80 ", "byte 10 (line 1)", "0xED");
  expect_refused("cut in a charact\xE2\x82", "byte 16 (line 1)", "end of a line");
  expect_refused("\xFF", "byte 0 (line 1)", "0xFF");
}

TEST(TextFile, IsReadFromDisk) {
  const auto path = scratch_path("vernier_text_file");
  write_file(path,
             "\xEF\xBB\xBF"
             "a\r\n");
  EXPECT_EQ(read_text_file(path).text, "a\n");
  write_file(path, "\xFF");
  try {
    read_text_file(path);
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kBadFile);
    EXPECT_THAT(e.what(), HasSubstr(path.string()));
  }
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace vernier
