#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "vernier/data.h"
#include "vernier/error.h"

namespace vernier {
namespace {

using ::testing::HasSubstr;

void expect_refused(const std::string& lines, const std::string& filter, ErrorKind kind, const std::string& part) {
  try {
    parse_documents(lines, "g.jsonl", filter);
    ADD_FAILURE() << "read " << lines;
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), kind);
    EXPECT_THAT(e.what(), HasSubstr(part));
  }
}

TEST(Documents, FilterAndDefects) {
  const std::string lines =
      "{\"text\":\"a\",\"group\":\"x\",\"in_mix\":true}\n\n{\"text\":\"b\",\"group\":\"y\",\"in_mix\":false}\n";
  EXPECT_EQ(parse_documents(lines, "g.jsonl").size(), 2u);
  const auto kept = parse_documents(lines, "g.jsonl", "in_mix=false");
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_EQ(kept[0].text, "b");
  expect_refused(lines, "in_mix=maybe", ErrorKind::kInvalidArgument, "in_mix=maybe");
  for (const char* bad : {"{\"text\":\"a\"}\n", "{\"text\":1,\"group\":\"x\"}\n", "[]\n", "{\n"})
    expect_refused(bad, "", ErrorKind::kBadFile, "g.jsonl:1");
}

TEST(Documents, GroupsMayBeNumbersAndBooleans) {
  const auto documents = parse_documents(
      "{\"text\":\"a\",\"group\":3}\n{\"text\":\"b\",\"group\":true}\n{\"text\":\"c\",\"group\":-1}\n"
      "{\"text\":\"d\",\"group\":\"3\"}\n",
      "g.jsonl");
  std::vector<std::string> groups;
  for (const Document& document : documents) groups.push_back(document.group);
  EXPECT_THAT(groups, ::testing::ElementsAre("3", "true", "-1", "3"));
  const std::string sound = "{\"text\":\"a\",\"group\":\"x\"}\n";
  for (const char* group : {"null", "1.5", "1.0", "[\"x\"]", "{}"})
    expect_refused(sound + "{\"text\":\"a\",\"group\":" + group + "}\n", "", ErrorKind::kBadFile,
                   "g.jsonl:2: key \"group\"");
  expect_refused(sound + "{\"text\":\"a\"}\n", "", ErrorKind::kBadFile, "g.jsonl:2: key \"group\"");
}

TEST(Documents, TheGroupMayStandUnderAnotherKeyAndTheDocIsOptional) {
  const std::string lines =
      "{\"text\":\"a\",\"topic\":\"x\",\"doc\":\"d1\"}\n{\"text\":\"b\",\"topic\":\"y\",\"doc\":7}\n"
      "{\"text\":\"c\",\"topic\":\"y\",\"doc\":null}\n{\"text\":\"d\",\"topic\":\"y\"}\n";
  const auto documents = parse_documents(lines, "g.jsonl", "", "topic");
  std::vector<std::string> docs;
  for (const Document& document : documents) docs.push_back(document.doc);
  EXPECT_THAT(docs, ::testing::ElementsAre("d1", "7", "", ""));
  EXPECT_EQ(documents[1].group, "y");
  expect_refused(lines, "", ErrorKind::kBadFile, "g.jsonl:1: key \"group\"");
}

TEST(Documents, FilesOfWindowsAreRead) {
  const auto documents = parse_documents(
      "\xEF\xBB\xBF{\"text\":\"a\\r\\nb\",\"group\":\"x\"}\r\n\r\n{\"text\":\"c\",\"group\":\"y\"}\r\n", "g.jsonl");
  ASSERT_EQ(documents.size(), 2u);
  EXPECT_EQ(documents[0].text, "a\r\nb") << "what a string says stays";
  EXPECT_EQ(documents[1].group, "y");
  expect_refused("{\"text\":\"a\",\"group\":\"x\"}\r\n\r\n{\r\n", "", ErrorKind::kBadFile, "g.jsonl:3");
  EXPECT_EQ(
      parse_documents("{\"text\":\"a\",\"group\":\"x\"}\n\xEF\xBB\xBF{\"text\":\"b\",\"group\":\"y\"}\n", "g").size(),
      2u)
      << "files joined by `cat`";
  expect_refused("once upon a time\n", "", ErrorKind::kBadFile, "g.jsonl:1: expected JSON lines");
  expect_refused("\xFF\xFE{", "", ErrorKind::kBadFile, "UTF-16");
  expect_refused("{\"text\":\"caf\xE9\",\"group\":\"x\"}\n", "", ErrorKind::kBadFile, "g.jsonl: byte 12 (line 1)");
}

}  // namespace
}  // namespace vernier
