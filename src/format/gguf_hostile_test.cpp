#include "format/format_test_util.h"
#include "format/gguf_file.h"

namespace vernier {
namespace {

std::string text(const std::string& value) { return raw(uint64_t{value.size()}) + value; }

/// The parts of a small good file: each defect changes one of them.
struct Parts {
  std::string magic = "GGUF";
  uint32_t version = 3;
  uint64_t tensor_count = 2, value_count = 2;
  std::string key_a = text("general.architecture"), value_a = raw(uint32_t{8}) + text("llama");
  std::string key_b = text("list"), value_b = raw(uint32_t{9}) + raw(uint32_t{5}) + raw(uint64_t{2}) + raw(1) + raw(2);
  std::string name_a = text("a"), name_b = text("b");
  uint32_t dims_a = 2;
  std::string ne_a = raw(int64_t{4}) + raw(int64_t{2}), ne_b = raw(int64_t{32});
  uint32_t type_a = 0, type_b = 8;  // float32 [2, 4]: 32 bytes; Q8_0 [32]: 34 bytes
  uint64_t offset_a = 0, offset_b = 32;
  size_t alignment = 32, data_bytes = 32 + 34;

  std::string bytes() const {
    std::string out = magic + raw(version) + raw(tensor_count) + raw(value_count) + key_a + value_a + key_b + value_b +
                      name_a + raw(dims_a) + ne_a + raw(type_a) + raw(offset_a) + name_b + raw(uint32_t{1}) + ne_b +
                      raw(type_b) + raw(offset_b);
    out.resize((out.size() + alignment - 1) / alignment * alignment, '\0');
    return out + std::string(data_bytes, '\1');
  }
};

struct GgufDefect {
  const char* name;
  void (*apply)(Parts&);
  const char* says;
};

void PrintTo(const GgufDefect& defect, std::ostream* out) { *out << defect.name; }

constexpr uint64_t kHuge = uint64_t{1} << 62;

const GgufDefect kGgufDefects[] = {
    {"BadMagic", [](Parts& p) { p.magic = "FUGG"; }, "magic"},
    {"OldMagic", [](Parts& p) { p.magic = "tjgg"; }, "before GGUF"},
    {"LfsPointer", [](Parts& p) { p.magic = "version https://git-lfs.github.com/spec/v1\n"; }, "git lfs pull"},
    {"WebPage", [](Parts& p) { p.magic = "<!DOCTYPE html>"; }, "web page"},
    {"Gzip", [](Parts& p) { p.magic = "\x1f\x8b\x08"; }, "gzip"},
    {"BigEndian", [](Parts& p) { p.version = 0x03000000; }, "big-endian"},
    {"VersionZero", [](Parts& p) { p.version = 0; }, "version 0, expected 2 or 3"},
    {"VersionOne", [](Parts& p) { p.version = 1; }, "version 1 is no longer read"},
    {"VersionFour", [](Parts& p) { p.version = 4; }, "version 4, expected 2 or 3"},
    {"TensorCountHuge", [](Parts& p) { p.tensor_count = kHuge; }, "4611686018427387904 tensors"},
    {"TensorCountNegative", [](Parts& p) { p.tensor_count = UINT64_MAX; }, "tensors"},
    {"TensorCountOffByOne", [](Parts& p) { p.tensor_count = 3; }, "broken.gguf"},
    {"ValueCountHuge", [](Parts& p) { p.value_count = kHuge; }, "4611686018427387904 metadata values"},
    {"KeyLengthHuge", [](Parts& p) { p.key_a = raw(kHuge); }, "a string of 4611686018427387904 bytes"},
    {"KeyLengthWraps", [](Parts& p) { p.key_a = raw(UINT64_MAX - 3); }, "a string of"},
    {"KeyTooLong", [](Parts& p) { p.key_a = text(std::string(65536, 'k')); }, "65536 bytes, expected at most 65535"},
    {"DuplicateKey", [](Parts& p) { p.key_b = p.key_a; }, "\"general.architecture\": duplicate key"},
    {"StringLengthHuge", [](Parts& p) { p.value_a = raw(uint32_t{8}) + raw(kHuge); }, "architecture\": a string of"},
    {"ValueTypeUnknown", [](Parts& p) { p.value_a = raw(uint32_t{13}); }, "value type 13"},
    {"BooleanTwo", [](Parts& p) { p.value_a = raw(uint32_t{7}) + "\2"; }, "expected a boolean of 0 or 1, got 2"},
    {"ArrayHuge", [](Parts& p) { p.value_b = raw(uint32_t{9}) + raw(uint32_t{5}) + raw(kHuge); }, "an array of"},
    {"ArrayBytesOverflow",
     [](Parts& p) { p.value_b = raw(uint32_t{9}) + raw(uint32_t{12}) + raw((uint64_t{1} << 61) + 1); }, "an array of"},
    {"StringArrayHuge", [](Parts& p) { p.value_b = raw(uint32_t{9}) + raw(uint32_t{8}) + raw(kHuge); }, "an array of"},
    {"BoolArrayHuge", [](Parts& p) { p.value_b = raw(uint32_t{9}) + raw(uint32_t{7}) + raw(kHuge); }, "an array of"},
    {"ArrayTypeUnknown", [](Parts& p) { p.value_b = raw(uint32_t{9}) + raw(uint32_t{99}) + raw(uint64_t{0}); },
     "value type 99"},
    {"NestedArray", [](Parts& p) { p.value_b = raw(uint32_t{9}) + raw(uint32_t{9}) + raw(uint64_t{1}); },
     "an array of arrays"},
    {"AlignmentZero",
     [](Parts& p) { p.key_b = text("general.alignment"), p.value_b = raw(uint32_t{4}) + raw(uint32_t{0}); },
     "power of two"},
    {"AlignmentThree",
     [](Parts& p) { p.key_b = text("general.alignment"), p.value_b = raw(uint32_t{4}) + raw(uint32_t{3}); },
     "power of two"},
    {"AlignmentText", [](Parts& p) { p.key_b = text("general.alignment"), p.value_b = raw(uint32_t{8}) + text("32"); },
     "power of two"},
    {"AlignmentBeyondFile",
     [](Parts& p) { p.key_b = text("general.alignment"), p.value_b = raw(uint32_t{4}) + raw(uint32_t{1} << 31); },
     "the data section has 0"},
    {"NameLengthHuge", [](Parts& p) { p.name_a = raw(kHuge); }, "tensor 0: a string of"},
    {"DuplicateName", [](Parts& p) { p.name_b = p.name_a; }, "tensor \"a\": duplicate name"},
    {"FiveDimensions", [](Parts& p) { p.dims_a = 5; }, "5 dimensions, expected at most 4"},
    {"DimensionZero", [](Parts& p) { p.ne_a = raw(int64_t{4}) + raw(int64_t{0}); }, "dimension 1 is 0"},
    {"DimensionNegative", [](Parts& p) { p.ne_a = raw(int64_t{-4}) + raw(int64_t{2}); }, "dimension 0 is -4"},
    {"ElementsOverflow", [](Parts& p) { p.ne_a = raw(int64_t{1} << 40) + raw(int64_t{1} << 40); }, "overflows"},
    {"BytesOverflow", [](Parts& p) { p.ne_a = raw(int64_t{1} << 31) + raw(int64_t{1} << 31); }, "overflows"},
    {"RowNoBlock", [](Parts& p) { p.ne_b = raw(int64_t{33}); }, "multiple of 32"},
    {"TypeUnknown", [](Parts& p) { p.type_a = 1000; }, "type id 1000 is unknown"},
    {"OffsetMisaligned", [](Parts& p) { p.offset_b = 33; }, "offset 33 is not a multiple of 32"},
    {"OffsetBeyondFile", [](Parts& p) { p.offset_b = 96; }, "34 bytes at offset 96"},
    {"OffsetWraps", [](Parts& p) { p.offset_b = UINT64_MAX - 31; }, "at offset 18446744073709551584"},
    {"Overlap", [](Parts& p) { p.offset_b = 0; }, "overlaps"},
    {"OverlapInPart", [](Parts& p) { p.ne_a = raw(int64_t{4}) + raw(int64_t{3}); }, "overlaps"},
    {"DataTruncated", [](Parts& p) { p.data_bytes -= 1; }, "the data section has 65"},
    {"DataMissing", [](Parts& p) { p.data_bytes = 0; }, "the data section has 0"},
};

class GgufDefectTest : public FormatTest, public ::testing::WithParamInterface<GgufDefect> {};

TEST_P(GgufDefectTest, IsABadFileThatNamesTheDefect) {
  Parts parts;
  GetParam().apply(parts);
  const auto path = file("broken.gguf", parts.bytes());
  expect_error(ErrorKind::kBadFile, {"broken.gguf", GetParam().says}, [&] { GgufFile{path}; });
}

INSTANTIATE_TEST_SUITE_P(All, GgufDefectTest, ::testing::ValuesIn(kGgufDefects),
                         [](const auto& info) { return std::string(info.param.name); });

using GgufHostileTest = FormatTest;

TEST_F(GgufHostileTest, TheUnpatchedFileIsGood) {
  for (const uint32_t version : {2u, 3u}) {
    Parts parts;
    parts.version = version;
    const GgufFile good(file("good.gguf", parts.bytes()));
    EXPECT_EQ(good.version(), version);
    EXPECT_EQ(good.tensors().size(), 2u);
    EXPECT_EQ(good.get_ints("list"), (std::vector<int64_t>{1, 2}));
  }
}

TEST_F(GgufHostileTest, OtherAlignmentsAreRead) {
  for (const uint32_t alignment : {1u, 8u, 64u}) {
    Parts parts;
    parts.key_b = text("general.alignment");
    parts.value_b = raw(uint32_t{4}) + raw(alignment);
    parts.alignment = alignment;
    parts.offset_b = std::max(32u, alignment);
    parts.data_bytes = parts.offset_b + 34;
    const GgufFile good(file("good.gguf", parts.bytes()));
    EXPECT_EQ(good.alignment(), alignment);
    EXPECT_EQ(text_of(good.tensors()[1].data), std::string(34, '\1'));
  }
}

TEST_F(GgufHostileTest, KnownTypesThatCannotBeReadAreNamed) {
  Parts parts;
  parts.type_a = 40;
  expect_error(ErrorKind::kUnsupported, {"NVFP4", "\"a\""}, [&] { GgufFile{file("mx.gguf", parts.bytes())}; });
  parts.magic = std::string("PK\x03\x04");
  expect_error(ErrorKind::kUnsupported, {"x.gguf", "pickle"}, [&] { GgufFile{file("x.gguf", parts.bytes())}; });
}

TEST_F(GgufHostileTest, EveryTruncationIsRefused) {
  std::string small = Parts().bytes();
  const std::string golden = read_file(fixture("golden.gguf"));
  // The padding behind the last tensor is not needed: iq4_xs, two blocks of 136 bytes, of which 16 are left over.
  const std::string needed = golden.substr(0, golden.size() - 16);
  EXPECT_EQ(GgufFile(file("whole.gguf", needed)).tensors().size(), 7u);
  for (const std::string& good : {small, needed})
    for (size_t size = 0; size < good.size(); ++size)
      expect_error(ErrorKind::kBadFile, {"cut.gguf"},
                   [&] { GgufFile{file("cut.gguf", std::string_view(good).substr(0, size))}; });
}

TEST_F(GgufHostileTest, RandomDamageOnlyEverThrowsError) {
  const std::string small = Parts().bytes(), golden = read_file(fixture("golden.gguf"));
  unsigned sum = 0;
  const auto open = [&](const std::string& bytes) {
    const GgufFile damaged(file("damaged.gguf", bytes));
    for (const GgufTensor& tensor : damaged.tensors())
      for (const std::byte byte : tensor.data) sum += static_cast<unsigned>(byte);
  };
  // Much of a GGUF header is text, in which a changed byte is no defect, so many copies open.
  EXPECT_GT(open_damaged(small, small.size() - 66, 3000, open), 1000) << sum;
  EXPECT_GT(open_damaged(golden, 1300, 3000, open), 1000) << sum;
}

}  // namespace
}  // namespace vernier
