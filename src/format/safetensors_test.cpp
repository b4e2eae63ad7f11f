#include "base/mapped_file.h"
#include "format/format_test_util.h"
#include "format/safetensors_file.h"
#include "format/safetensors_writer.h"
#include "format/sharded_safetensors.h"

namespace vernier {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class SafetensorsTest : public FormatTest {
 protected:
  /// A file of these float32 tensors of shape [2], filled with their index.
  fs::path write_floats(const std::string& name, const std::vector<std::string>& tensors) const {
    SafetensorsWriter writer;
    for (const std::string& tensor : tensors) writer.add(tensor, DType::kF32, {2});
    writer.write(folder_ / name, [](size_t index, const ByteSink& append) {
      const float values[2] = {static_cast<float>(index), static_cast<float>(index)};
      append(std::as_bytes(std::span(values)));
    });
    return folder_ / name;
  }
};

TEST_F(SafetensorsTest, ReadsWhatThePythonPackageWrote) {
  const SafetensorsFile file(fixture("golden.safetensors"));
  EXPECT_EQ(file.metadata().at("note"), "größer");
  ASSERT_EQ(file.entries().size(), 9u);
  EXPECT_EQ(file.entries().front().name, "ids.i64") << "the package puts wide types first; ours is the file's order";
  EXPECT_THAT(values_of<int64_t>(file.read("ids.i64").data), ElementsAre(0, -1, -2, -3, -4, -5));
  const SafetensorsEntry& weight = file.read("weight.f32");
  EXPECT_EQ(weight.dtype, DType::kF32);
  EXPECT_THAT(weight.shape, ElementsAre(2, 3));
  EXPECT_THAT(values_of<float>(weight.data), ElementsAre(-2.5f, -1.5f, -0.5f, 0.5f, 1.5f, 2.5f));
  EXPECT_THAT(values_of<uint16_t>(file.read("weight.f16").data),
              ElementsAre(0, 0x3800, 0x3c00, 0x3e00, 0x4000, 0x4100));
  EXPECT_THAT(values_of<uint16_t>(file.read("weight.bf16").data),
              ElementsAre(0, 0x3f80, 0x4000, 0x4040, 0x4080, 0x40a0));
  EXPECT_THAT(values_of<int8_t>(file.read("codes.i8").data), ElementsAre(-2, -1, 0, 1, 2));
  EXPECT_THAT(values_of<uint8_t>(file.read("mask.bool").data), ElementsAre(1, 0, 1));
  EXPECT_THAT(file.read("scalar.f64").shape, IsEmpty());
  EXPECT_THAT(values_of<double>(file.read("scalar.f64").data), ElementsAre(0.1));
  EXPECT_THAT(file.read("empty.u8").shape, ElementsAre(0, 4));
  EXPECT_TRUE(file.read("empty.u8").data.empty());
}

TEST_F(SafetensorsTest, OtherTypesAreListedButNotRead) {
  const SafetensorsFile file(fixture("golden.safetensors"));
  const SafetensorsEntry* entry = file.find("odd.f8");
  ASSERT_NE(entry, nullptr);
  EXPECT_EQ(entry->dtype, DType::kOther);
  EXPECT_EQ(entry->dtype_name, "F8_E4M3");
  EXPECT_EQ(entry->data.size(), 2u);
  expect_error(ErrorKind::kUnsupported, {"odd.f8", "F8_E4M3"}, [&] { file.read("odd.f8"); });
  EXPECT_EQ(file.find("absent"), nullptr);
  expect_error(ErrorKind::kBadFile, {"golden.safetensors", "absent"}, [&] { file.read("absent"); });
}

TEST_F(SafetensorsTest, RoundTripKeepsTypesOrderAndAlignment) {
  SafetensorsWriter writer;
  writer.set_metadata("format", "pt");
  writer.set_metadata("a\"b", "line\nbreak");
  const std::vector<std::pair<DType, std::vector<int64_t>>> declared = {
      {DType::kU8, {3}},  {DType::kF32, {2, 2}}, {DType::kBF16, {5}},   {DType::kI64, {}},  {DType::kBool, {1}},
      {DType::kF64, {1}}, {DType::kF16, {3, 0}}, {DType::kI32, {1, 3}}, {DType::kI16, {7}}, {DType::kI8, {2}}};
  for (size_t i = 0; i < declared.size(); ++i)
    writer.add("t" + std::to_string(i), declared[i].first, declared[i].second);
  const auto source = [&](size_t index, const ByteSink& append) {
    uint64_t size = dtype_bytes(declared[index].first);
    for (const int64_t dim : declared[index].second) size *= static_cast<uint64_t>(dim);
    const std::byte value{static_cast<uint8_t>(index + 1)};
    for (uint64_t i = 0; i < size; ++i) append({&value, 1});
  };
  writer.write(folder_ / "a.safetensors", source);
  writer.write(folder_ / "b.safetensors", source);
  EXPECT_EQ(read_file(folder_ / "a.safetensors"), read_file(folder_ / "b.safetensors"));
  EXPECT_EQ(fs::file_size(folder_ / "a.safetensors"), writer.file_bytes());

  const SafetensorsFile file(folder_ / "a.safetensors");
  EXPECT_EQ(file.metadata().at("a\"b"), "line\nbreak");
  ASSERT_EQ(file.entries().size(), declared.size());
  const MappedFile mapped(folder_ / "a.safetensors");  // pages are aligned, so the offset decides
  for (size_t i = 0; i < declared.size(); ++i) {
    const SafetensorsEntry& entry = file.read("t" + std::to_string(i));
    EXPECT_EQ(entry.dtype, declared[i].first);
    EXPECT_EQ(entry.shape, declared[i].second);
    EXPECT_EQ(text_of(entry.data), std::string(entry.data.size(), static_cast<char>(i + 1)));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(entry.data.data()) % dtype_bytes(entry.dtype), 0u) << entry.name;
  }
}

TEST_F(SafetensorsTest, AnEmptyFileOfNoTensorsRoundTrips) {
  SafetensorsWriter().write(folder_ / "none.safetensors", [](size_t, const ByteSink&) {});
  EXPECT_TRUE(SafetensorsFile(folder_ / "none.safetensors").entries().empty());
}

TEST_F(SafetensorsTest, TheWriterRefusesWhatItCouldNotReadBack) {
  SafetensorsWriter writer;
  writer.add("a", DType::kF32, {2});
  const auto refused = [&](auto&& run) { expect_error(ErrorKind::kInvalidArgument, {}, run); };
  refused([&] { writer.add("a", DType::kF32, {2}); });
  refused([&] { writer.add("__metadata__", DType::kF32, {2}); });
  refused([&] { writer.add("\xff", DType::kF32, {2}); });
  refused([&] { writer.add("b", DType::kOther, {2}); });
  refused([&] { writer.add("b", DType::kF32, {-1}); });
  refused([&] { writer.add("b", DType::kF32, {int64_t{1} << 40, int64_t{1} << 40}); });
  refused([&] { writer.set_metadata("k", "\xff"); });

  const float one = 1;
  const auto bytes = std::as_bytes(std::span(&one, 1));
  const fs::path path = folder_ / "a.safetensors";
  expect_error(ErrorKind::kInvalidArgument, {"\"a\"", "got 4 bytes", "declared 8"},
               [&] { writer.write(path, [&](size_t, const ByteSink& append) { append(bytes); }); });
  const auto thrice = [&](size_t, const ByteSink& append) {
    for (int i = 0; i < 3; ++i) append(bytes);
  };
  expect_error(ErrorKind::kInvalidArgument, {"\"a\"", "more than"}, [&] { writer.write(path, thrice); });
  EXPECT_TRUE(fs::is_empty(folder_)) << "a failed write leaves nothing";
}

TEST_F(SafetensorsTest, FolderWithOneFile) {
  write_floats("model.safetensors", {"x", "y"});
  const ShardedSafetensors weights(folder_);
  ASSERT_EQ(weights.entries().size(), 2u);
  EXPECT_THAT(values_of<float>(weights.read("y").data), ElementsAre(1, 1));
  EXPECT_EQ(weights.find("z"), nullptr);
  expect_error(ErrorKind::kBadFile, {"\"z\"", "missing"}, [&] { weights.read("z"); });
  EXPECT_EQ(ShardedSafetensors(folder_ / "model.safetensors").entries().size(), 2u);
}

TEST_F(SafetensorsTest, FolderWithShards) {
  write_floats("model-00001-of-00002.safetensors", {"a", "b"});
  write_floats("model-00002-of-00002.safetensors", {"c", "unlisted"});
  file("model.safetensors.index.json",
       R"({"weight_map": {"c": "model-00002-of-00002.safetensors", "b": "model-00001-of-00002.safetensors",
           "a": "model-00001-of-00002.safetensors"}})");
  const ShardedSafetensors weights(folder_);
  EXPECT_EQ(weights.shards().size(), 2u);
  std::vector<std::string> names;
  for (const SafetensorsEntry* entry : weights.entries()) names.push_back(entry->name);
  EXPECT_THAT(names, ElementsAre("a", "b", "c"));
  EXPECT_THAT(values_of<float>(weights.read("b").data), ElementsAre(1, 1));
}

TEST_F(SafetensorsTest, BrokenIndexesAreRefused) {
  write_floats("model/shard.safetensors", {"a"});
  write_floats("outside.safetensors", {"a"});
  struct Case {
    const char* json;
    const char* says;
  };
  for (const Case& c : {Case{R"({"weight_map": {"a": "gone.safetensors"}})", "gone.safetensors\" is missing"},
                        Case{R"({"weight_map": {"b": "shard.safetensors"}})", "lacks it"},
                        Case{R"({"weight_map": {"a": "../outside.safetensors"}})", "leave the folder"},
                        Case{R"({"weight_map": {"a": "/etc/passwd"}})", "leave the folder"},
                        Case{R"({"weight_map": {"a": ".."}})", "leave the folder"},
                        Case{R"({"weight_map": {"a": ""}})", "leave the folder"},
                        Case{R"({"weight_map": {"a": "..\\x"}})", "leave the folder"},
                        Case{R"({"weight_map": {"a": "shard.safetensors\u0000x"}})", "leave the folder"},
                        Case{R"({"weight_map": {"a": 7}})", "expected a shard's file name"},
                        Case{R"({"weight_map": {}})", "weight_map"}, Case{R"({"weight_map": []})", "weight_map"},
                        Case{R"([])", "weight_map"}, Case{R"({"weight_map")", "not valid JSON"}}) {
    SCOPED_TRACE(c.json);
    file("model/model.safetensors.index.json", c.json);
    expect_error(ErrorKind::kBadFile, {"index.json", c.says}, [&] { ShardedSafetensors{folder_ / "model"}; });
  }
}

TEST_F(SafetensorsTest, PickledFoldersAreRefusedWithTheWayOut) {
  expect_error(ErrorKind::kInvalidArgument, {"no weights"}, [&] { ShardedSafetensors{folder_}; });
  file("pytorch_model.bin", "PK\x03\x04");
  expect_error(ErrorKind::kUnsupported, {"pytorch_model.bin", "run any code", "save_file", "safe_serialization=True"},
               [&] { ShardedSafetensors{folder_}; });
  expect_error(ErrorKind::kUnsupported, {"pytorch_model.bin", "pickle"},
               [&] { ShardedSafetensors{folder_ / "pytorch_model.bin"}; });
  write_floats("adapter_model.safetensors", {"a"});
  expect_error(ErrorKind::kUnsupported, {"pytorch_model.bin"}, [&] { ShardedSafetensors{folder_}; });
  fs::rename(folder_ / "pytorch_model.bin", folder_ / "training_args.bin");
  expect_error(ErrorKind::kUnsupported, {"adapter", "merge"}, [&] { ShardedSafetensors{folder_}; });
  expect_error(ErrorKind::kIo, {"absent"}, [&] { ShardedSafetensors{folder_ / "absent"}; });
}

TEST_F(SafetensorsTest, ShardsWithoutAnIndexAreReadByTheirNumbers) {
  write_floats("model-00001-of-00003.safetensors", {"a"});
  write_floats("model-00003-of-00003.safetensors", {"c"});
  expect_error(ErrorKind::kBadFile, {"model-00002-of-00003.safetensors is missing", "2 of 3", "download"},
               [&] { ShardedSafetensors{folder_}; });
  write_floats("model-00002-of-00003.safetensors", {"b1", "b2"});
  write_floats("consolidated.safetensors", {"other"});  // the same model in its authors' layout
  write_floats("adapter_model.safetensors", {"lora"});
  std::vector<std::string> names;
  const ShardedSafetensors weights(folder_);
  for (const SafetensorsEntry* entry : weights.entries()) names.push_back(entry->name);
  EXPECT_THAT(names, ElementsAre("a", "b1", "b2", "c"));
  EXPECT_THAT(values_of<float>(weights.read("b2").data), ElementsAre(1, 1));

  write_floats("model-00003-of-00003.safetensors", {"c", "a"});
  expect_error(ErrorKind::kBadFile, {"\"a\"", "model-00001-of-00003", "model-00003-of-00003"},
               [&] { ShardedSafetensors{folder_}; });
  write_floats("model-00001-of-00002.safetensors", {"a"});
  expect_error(ErrorKind::kInvalidArgument, {"model-00001-of-00002", "model-00001-of-00003", "leave one"},
               [&] { ShardedSafetensors{folder_}; });
}

TEST_F(SafetensorsTest, TheOnlyFileOfAFolderIsItsModel) {
  EXPECT_THAT(safetensors_in(folder_), IsEmpty());
  write_floats("llama-00007-of-00003.safetensors", {"a"});  // no numbering
  EXPECT_THAT(safetensors_in(folder_), ElementsAre(folder_ / "llama-00007-of-00003.safetensors"));
  EXPECT_NE(ShardedSafetensors(folder_).find("a"), nullptr);
  write_floats("second.safetensors", {"b"});
  expect_error(ErrorKind::kInvalidArgument, {"llama-00007-of-00003.safetensors", "second.safetensors"},
               [&] { ShardedSafetensors{folder_}; });
  write_floats("model.safetensors", {"c"});
  EXPECT_THAT(safetensors_in(folder_), ElementsAre(folder_ / "model.safetensors"));
}

TEST_F(SafetensorsTest, FoldersOfGgufFilesNameTheFileToPass) {
  file("b.gguf", "GGUF");
  expect_error(ErrorKind::kInvalidArgument, {"pass " + (folder_ / "b.gguf").string()},
               [&] { ShardedSafetensors{folder_}; });
  for (const char* name : {"a.gguf", "c.gguf", "d.gguf", "e.gguf", "f.gguf"}) file(name, "GGUF");
  expect_error(ErrorKind::kInvalidArgument, {"pass " + (folder_ / "a.gguf").string(), "b.gguf, c.gguf", ", ..."},
               [&] { ShardedSafetensors{folder_}; });
}

}  // namespace
}  // namespace vernier
