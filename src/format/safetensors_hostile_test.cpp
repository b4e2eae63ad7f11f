#include "format/format_test_util.h"
#include "format/safetensors_file.h"

namespace vernier {
namespace {

/// A file from a header text and a number of data bytes.
std::string assemble(const std::string& header, size_t data_bytes) {
  return raw(uint64_t{header.size()}) + header + std::string(data_bytes, '\1');
}

struct SafetensorsDefect {
  const char* name;
  std::string bytes;
  const char* says;
};

void PrintTo(const SafetensorsDefect& defect, std::ostream* out) { *out << defect.name; }

constexpr const char* kGood = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                              R"("b":{"dtype":"U8","shape":[4],"data_offsets":[8,12]}})";

/// The good header with one piece of it replaced.
std::string patched(std::string_view from, std::string_view to, size_t data_bytes = 12) {
  std::string header = kGood;
  header.replace(header.find(from), from.size(), to);
  return assemble(header, data_bytes);
}

std::vector<SafetensorsDefect> safetensors_defects() {
  using namespace std::string_literals;
  const std::string good = assemble(kGood, 12);
  const std::string dims = [] {
    std::string text = "[4";
    for (int i = 0; i < 64; ++i) text += ",1";
    return text + "]";
  }();
  return {
      {"Empty", "", "empty"},
      {"SevenBytes", "\x10\0\0\0\0\0\0"s, "truncated"},
      {"HeaderOfNothing", raw(uint64_t{0}) + "{}", "header length 0"},
      {"HeaderBeyondLimit", raw(uint64_t{100'000'001}) + "{}", "header length 100000001"},
      {"HeaderHuge", raw(UINT64_MAX) + "{}", "header length 18446744073709551615"},
      {"HeaderBeyondFile", raw(uint64_t{5000}) + kGood, "truncated"},
      {"HeaderNoObject", assemble("[1,2]", 0), "begin with '{'"},
      {"HeaderSpaceFirst", assemble(" {}", 0), "begin with '{'"},
      {"BrokenJson", patched(",\"shape\"", "\"shape\""), "not valid JSON"},
      {"TextBehindJson", assemble(kGood + " x"s, 12), "not valid JSON"},
      {"NotUtf8", patched("\"b\"", "\"\xff\""), "not valid JSON"},
      {"DeepNesting", assemble("{\"a\":" + std::string(100000, '['), 0), "an array is not allowed"},
      {"DeepObjects", patched("[2]", "{\"a\":{}}"), "an object is not allowed"},
      {"DuplicateName", patched("\"b\"", "\"a\""), "duplicate name \"a\""},
      {"DuplicateField", patched("\"shape\":[4]", "\"dtype\":\"U8\""), "duplicate field \"dtype\""},
      {"DuplicateMetadata", patched("{\"a\"", R"({"__metadata__":{},"__metadata__":{},"a")"), "duplicate name"},
      {"DuplicateMetadataKey", patched("{\"a\"", R"({"__metadata__":{"k":"","k":""},"a")"), "duplicate key \"k\""},
      {"MetadataNoText", patched("{\"a\"", R"({"__metadata__":{"k":1},"a")"), "a number is not allowed"},
      {"MetadataNoObject", patched("{\"a\"", R"({"__metadata__":"k","a")"), "a string is not allowed"},
      {"UnknownField", patched("\"shape\":[4]", "\"shape\":[4],\"strides\":[1]"), "unknown field \"strides\""},
      {"MissingField", patched("\"shape\":[4],", ""), "expected dtype, shape and two data_offsets"},
      {"OneOffset", patched("[8,12]", "[8]"), "expected dtype, shape and two data_offsets"},
      {"ThreeOffsets", patched("[8,12]", "[8,12,12]"), "a number is not allowed"},
      {"TypeNoText", patched("\"U8\"", "8"), "a number is not allowed"},
      {"TensorNoObject", assemble(R"({"a":null})", 0), "null is not allowed"},
      {"NegativeDimension", patched("[4]", "[-4]"), "a negative number"},
      {"FloatDimension", patched("[4]", "[4.0]"), "no 64-bit integer"},
      {"DimensionBeyondInt64", patched("[4]", "[9223372036854775808]"), "beyond int64"},
      {"DimensionBeyondUint64", patched("[4]", "[18446744073709551620]"), "no 64-bit integer"},
      {"ElementsOverflow", patched("[4]", "[4294967296,4294967297,4]"), "overflows"},
      {"ElementsOverflowBesideZero", patched("[4]", "[4294967296,4294967296,0]"), "overflows"},
      {"BytesOverflow", patched("[2]", "[2305843009213693954]"), "does not fill"},
      {"TooManyDimensions", patched("[4]", dims), "64 dimensions"},
      {"SizeTooSmall", patched("[4]", "[3]"), "does not fill the 4 bytes"},
      {"SizeTooLarge", patched("[2]", "[3]"), "does not fill the 8 bytes"},
      {"SubByteRest", patched("\"U8\",\"shape\":[4]", "\"F4\",\"shape\":[7]"), "does not fill the 4 bytes"},
      {"OffsetsReversed", patched("[8,12]", "[12,8]"), "before they begin"},
      {"OffsetBeyondFile", patched("[8,12]", "[18446744073709551611,18446744073709551615]"), "truncated"},
      {"Overlap", patched("[8,12]", "[4,8]", 8), "overlaps"},
      {"Hole", patched("[8,12]", "[9,13]", 13), "a hole before it"},
      {"HoleAtTheStart", assemble(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})", 2), "a hole before it"},
      {"DataTruncated", good.substr(0, good.size() - 1), "truncated"},
      {"TrailingBytes", good + "x", "1 bytes behind the last tensor"},
      {"LfsPointer", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n", "git lfs pull"},
      {"WebPage", "<!DOCTYPE html><html>Please log in</html>", "web page"},
      {"Gguf", "GGUF\3\0\0\0\0\0\0\0\0\0\0\0"s, "GGUF file"},
  };
}

class SafetensorsDefectTest : public FormatTest, public ::testing::WithParamInterface<SafetensorsDefect> {};

TEST_P(SafetensorsDefectTest, IsABadFileThatNamesTheDefect) {
  const auto path = file("broken.safetensors", GetParam().bytes);
  expect_error(ErrorKind::kBadFile, {"broken.safetensors", GetParam().says}, [&] { SafetensorsFile{path}; });
}

INSTANTIATE_TEST_SUITE_P(All, SafetensorsDefectTest, ::testing::ValuesIn(safetensors_defects()),
                         [](const auto& info) { return std::string(info.param.name); });

using SafetensorsHostileTest = FormatTest;

TEST_F(SafetensorsHostileTest, TheUnpatchedFileIsGood) {
  EXPECT_EQ(SafetensorsFile(file("good.safetensors", assemble(kGood, 12))).entries().size(), 2u);
}

TEST_F(SafetensorsHostileTest, PicklesAreRefusedAsSuch) {
  using namespace std::string_literals;
  for (const std::string& start : {"PK\x03\x04 a zip archive"s, "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20"s})
    expect_error(ErrorKind::kUnsupported, {"model.safetensors", "pickle", "save_file"},
                 [&] { SafetensorsFile{file("model.safetensors", start)}; });
}

TEST_F(SafetensorsHostileTest, AHeaderLengthThatLooksLikeAPickleIsNone) {
  std::string header = kGood;
  header.resize(0x280, ' ');  // begins with the bytes 80 02
  EXPECT_EQ(SafetensorsFile(file("good.safetensors", assemble(header, 12))).entries().size(), 2u);
}

TEST_F(SafetensorsHostileTest, NamesInMessagesAreShortAndPrintable) {
  const auto path = file("a.safetensors", patched("\"a\"", "\"" + std::string(5000, 'x') + "\\u001b\"", 11));
  try {
    SafetensorsFile{path};
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_LT(std::string(e.what()).size(), 600u);
  }
}

TEST_F(SafetensorsHostileTest, EveryTruncationIsRefused) {
  const std::string good = read_file(fixture("golden.safetensors"));
  for (size_t size = 0; size < good.size(); ++size)
    expect_error(ErrorKind::kBadFile, {"cut.safetensors"},
                 [&] { SafetensorsFile{file("cut.safetensors", std::string_view(good).substr(0, size))}; });
}

TEST_F(SafetensorsHostileTest, RandomDamageOnlyEverThrowsError) {
  const std::string good = read_file(fixture("golden.safetensors"));
  unsigned sum = 0;
  const int refused = open_damaged(good, good.size() - 114, 4000, [&](const std::string& bytes) {
    const SafetensorsFile damaged(file("damaged.safetensors", bytes));
    for (const SafetensorsEntry& entry : damaged.entries())
      for (const std::byte byte : entry.data) sum += static_cast<unsigned>(byte);
  });
  EXPECT_GT(refused, 2000) << "most bytes of a header carry meaning; " << sum;
}

}  // namespace
}  // namespace vernier
