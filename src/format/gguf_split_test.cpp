#include "format/gguf_split.h"

#include <fmt/format.h>

#include "format/format_test_util.h"
#include "format/gguf_writer.h"

namespace vernier {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;

class GgufSplitTest : public FormatTest {
 protected:
  fs::path part(int number, int count = 3) const {
    return folder_ / fmt::format("model-{:05}-of-{:05}.gguf", number, count);
  }

  /// A part as gguf-split writes it, with float32 tensors of one value each.
  void write_part(const fs::path& path, uint16_t no, uint16_t count, const std::vector<std::string>& tensors,
                  int32_t all_tensors = 4) const {
    GgufWriter writer;
    if (no == 0) writer.set("general.architecture", std::string("llama"));
    writer.set("split.no", no);
    writer.set("split.count", count);
    writer.set("split.tensors.count", all_tensors);
    for (const std::string& tensor : tensors) writer.add_tensor(tensor, kGgmlF32, {1});
    writer.write(path, [&](size_t index, const ByteSink& append) {
      const float value = static_cast<float>(tensors[index].back());
      append(std::as_bytes(std::span(&value, 1)));
    });
  }

  void write_model() const {
    write_part(part(1), 0, 3, {"a", "b"});
    write_part(part(2), 1, 3, {"c"});
    write_part(part(3), 2, 3, {"d"});
  }
};

TEST_F(GgufSplitTest, AnyPartOpensTheWholeModel) {
  write_model();
  for (const int number : {1, 2, 3}) {
    const GgufFile file(part(number));
    EXPECT_EQ(file.get_string("general.architecture"), "llama");
    EXPECT_EQ(file.path(), part(1)) << "the one with the metadata";
    EXPECT_THAT(file.paths(), ElementsAre(part(1), part(2), part(3)));
    ASSERT_EQ(file.tensors().size(), 4u);
    for (const char* name : {"a", "b", "c", "d"})
      EXPECT_THAT(values_of<float>(file.find_tensor(name)->data), ElementsAre(static_cast<float>(name[0])));
  }
  const GgufFile from = GgufFile(part(2));
  EXPECT_EQ(values_of<float>(from.find_tensor("d")->data)[0], 'd') << "views stay valid when the file is moved";
}

TEST_F(GgufSplitTest, TheFirstPartMayHoldNoTensors) {
  write_part(part(1, 2), 0, 2, {});
  write_part(part(2, 2), 1, 2, {"a", "b", "c", "d"});
  EXPECT_EQ(GgufFile(part(1, 2)).tensors().size(), 4u);
}

TEST_F(GgufSplitTest, AMergedFileIsWhole) {
  for (const uint16_t count : {uint16_t{0}, uint16_t{1}}) {
    write_part(folder_ / "merged.gguf", 0, count, {"a", "b", "c", "d"});
    EXPECT_THAT(GgufFile(folder_ / "merged.gguf").paths(), ElementsAre(folder_ / "merged.gguf"));
  }
  GgufWriter writer;
  writer.set("general.architecture", std::string("llama"));
  writer.write(part(2), [](size_t, const ByteSink&) {});
  EXPECT_THAT(GgufFile(part(2)).paths(), ElementsAre(part(2))) << "named as a part, but says that it is none";
}

TEST_F(GgufSplitTest, AMissingPartIsNamed) {
  write_model();
  fs::remove(part(2));
  for (const int number : {1, 3})
    expect_error(ErrorKind::kIo, {part(number).string(), "model-00002-of-00003.gguf is missing", "1 of 3"},
                 [&] { GgufFile{part(number)}; });
  fs::remove(part(1));
  expect_error(ErrorKind::kIo, {"model-00001-of-00003.gguf is missing", "2 of 3"}, [&] { GgufFile{part(3)}; });
  write_part(part(1, 65535), 0, 65535, {"a"});
  expect_error(ErrorKind::kIo, {"model-00002-of-65535.gguf is missing", "65534 of 65535"},
               [&] { GgufFile{part(1, 65535)}; });
}

TEST_F(GgufSplitTest, ThePartsAreFoundByName) {
  write_part(folder_ / "renamed.gguf", 0, 3, {"a"});
  expect_error(ErrorKind::kBadFile, {"renamed.gguf", "part 1 of 3", "ends in -00001-of-00003.gguf"},
               [&] { GgufFile{folder_ / "renamed.gguf"}; });
  write_part(part(1, 2), 0, 3, {"a"});
  expect_error(ErrorKind::kBadFile, {"model-00001-of-00002.gguf", "split.count 3", "-00001-of-00003.gguf"},
               [&] { GgufFile{part(1, 2)}; });
}

TEST_F(GgufSplitTest, PartsInEachOthersPlaceAreRefused) {
  write_model();
  write_part(part(2), 2, 3, {"c"});
  expect_error(ErrorKind::kBadFile, {"model-00002-of-00003.gguf", "split.no 2, split.count 3, expected 1, 3"},
               [&] { GgufFile{part(1)}; });
  expect_error(ErrorKind::kBadFile, {"model-00002-of-00003.gguf", "part 3 of 3"}, [&] { GgufFile{part(2)}; });
  write_part(part(2), 1, 4, {"c"});
  expect_error(ErrorKind::kBadFile, {"model-00002-of-00003.gguf", "split.no 1, split.count 4, expected 1, 3"},
               [&] { GgufFile{part(1)}; });
}

TEST_F(GgufSplitTest, PartsOfTwoModelsAreRefused) {
  write_model();
  write_part(part(3), 2, 3, {"b"});
  expect_error(ErrorKind::kBadFile, {"model-00003-of-00003.gguf", "tensor \"b\" is in an earlier part"},
               [&] { GgufFile{part(1)}; });
  write_part(part(3), 2, 3, {"d", "e"});
  expect_error(ErrorKind::kBadFile, {"5 tensors in 3 parts, expected 4", "split.tensors.count"},
               [&] { GgufFile{part(2)}; });
}

TEST_F(GgufSplitTest, HostileKeysAreBadFiles) {
  const auto refused = [&](const GgufValue& no, const GgufValue& count, const char* says) {
    GgufWriter writer;
    writer.set("split.no", no);
    writer.set("split.count", count);
    writer.write(part(1), [](size_t, const ByteSink&) {});
    expect_error(ErrorKind::kBadFile, {"model-00001-of-00003.gguf", says}, [&] { GgufFile{part(1)}; });
  };
  refused(uint16_t{3}, uint16_t{3}, "\"split.no\": expected an integer in [0, 2], got 3");
  refused(int32_t{-1}, uint16_t{3}, "got -1");
  refused(uint16_t{0}, int64_t{65536}, "\"split.count\": expected an integer in [0, 65535], got 65536");
  refused(uint16_t{0}, uint64_t{UINT64_MAX}, "got uint64");
  refused(uint16_t{0}, std::string("3"), "got string");
  GgufWriter writer;
  writer.set("split.count", uint16_t{3});
  writer.write(part(1), [](size_t, const ByteSink&) {});
  expect_error(ErrorKind::kBadFile, {"\"split.no\" is missing"}, [&] { GgufFile{part(1)}; });
}

TEST(GgufPartNames, FollowThePatternOfGgufSplit) {
  EXPECT_THAT(gguf_part_names("dir/m-00002-of-00002.gguf"),
              ElementsAre("dir/m-00001-of-00002.gguf", "dir/m-00002-of-00002.gguf"));
  for (const char* other : {"m.gguf", "m-00003-of-00002.gguf", "m-00000-of-00002.gguf", "m-00001-of-70000.gguf",
                            "m-1-of-2.gguf", "m-0000x-of-00002.gguf", "m-00001-of-00002.GGUF", "m_00001_of_00002.gguf",
                            "m-00001-of-00002.safetensors", "m--0001-of-00002.gguf", ""})
    EXPECT_THAT(gguf_part_names(other), ElementsAre()) << other;
}

}  // namespace
}  // namespace vernier
