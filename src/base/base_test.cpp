#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/hash.h"
#include "base/json.h"
#include "base/output_file.h"
#include "support/expect_error.h"

namespace vernier {
namespace {

namespace fs = std::filesystem;

TEST(Json, HostileTextIsABadFile) {
  const std::string deep(100000, '[');
  for (const std::string& text : {std::string("{"), std::string("{\"a\":}"), deep, std::string("\xff\xfe")}) {
    expect_error(ErrorKind::kBadFile, {"config.json"}, [&] { parse_json(text, "config.json"); });
  }
}

TEST(Json, ObjectsOfVeryManyKeysAreReadSorted) {
  const auto object = [](int keys) {
    std::string text = "{\"of\": [{}, {";
    for (int i = 0; i < keys; ++i) text += fmt::format("{}\"k{}\": {{\"a\": {}}}", i == 0 ? "" : ", ", i, i);
    return text + "}]}";
  };
  EXPECT_EQ(parse_json(object(22'000), "t")["of"][1].size(), 22'000u) << "as many as ImageNet-21k has classes";
  expect_error(ErrorKind::kBadFile, {"t: ", "too many keys"}, [&] { parse_json(object(61'000), "t"); });
  const SortedJson sorted = parse_sorted_json(object(100'000), "t");
  EXPECT_EQ(sorted["of"][1]["k99999"]["a"], 99'999);
  expect_error(ErrorKind::kBadFile, {"deeper"},
               [&] { parse_sorted_json(std::string(100, '[') + std::string(100, ']'), "t"); });
}

TEST(Json, IntegersAreRangeCheckedBeforeConversion) {
  const Json json = Json::parse(R"({"a": 1e300, "b": -1, "c": 2.5, "d": "7", "e": 7, "f": 18446744073709551615})");
  for (const std::string key : {"a", "b", "c", "d", "f", "missing"})
    expect_error(ErrorKind::kBadFile,
                 {"x: key \"" + key + "\"", key == "missing" ? "is missing" : "expected an integer"},
                 [&] { json_int(json, key.c_str(), "x", 0, 100); });
  EXPECT_EQ(json_int(json, "e", "x", 0, 100), 7);
}

TEST(Hash, SeparatesWhatConcatenationWouldJoin) {
  Hasher one, two;
  one.add("ab");
  one.add("c");
  two.add("a");
  two.add("bc");
  EXPECT_NE(one.hex(), two.hex());
  EXPECT_EQ(hash_text("").size(), 32u);
}

}  // namespace
}  // namespace vernier
