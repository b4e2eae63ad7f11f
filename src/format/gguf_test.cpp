#include <numeric>

#include "format/format_test_util.h"
#include "format/gguf_file.h"
#include "format/gguf_writer.h"

namespace vernier {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;

class GgufTest : public FormatTest {};

TEST_F(GgufTest, ReadsMetadataThatThePythonPackageWrote) {
  const GgufFile file(fixture("golden.gguf"));
  EXPECT_EQ(file.version(), 3u);
  EXPECT_EQ(file.alignment(), 32u);
  EXPECT_EQ(file.values().front().key, "general.architecture");
  EXPECT_EQ(file.get_string("general.architecture"), "llama");
  EXPECT_EQ(*file.find("scalar.u8"), GgufValue(uint8_t{255}));
  EXPECT_EQ(*file.find("scalar.i8"), GgufValue(int8_t{-128}));
  EXPECT_EQ(*file.find("scalar.u16"), GgufValue(uint16_t{65535}));
  EXPECT_EQ(*file.find("scalar.i16"), GgufValue(int16_t{-32768}));
  EXPECT_EQ(*file.find("scalar.u32"), GgufValue(UINT32_MAX));
  EXPECT_EQ(*file.find("scalar.i32"), GgufValue(INT32_MIN));
  EXPECT_EQ(*file.find("scalar.u64"), GgufValue(uint64_t{UINT64_MAX}));
  EXPECT_EQ(*file.find("scalar.i64"), GgufValue(int64_t{INT64_MIN}));
  EXPECT_EQ(*file.find("scalar.f32"), GgufValue(0.1f));
  EXPECT_EQ(*file.find("scalar.f64"), GgufValue(0.1));
  EXPECT_TRUE(file.get_bool("scalar.bool"));
  EXPECT_EQ(file.get_string("scalar.string"), "größer");
  EXPECT_THAT(file.get_strings("array.string"), ElementsAre("<s>", "", "a b"));
  EXPECT_THAT(file.get_ints("array.i32"), ElementsAre(1, -2, 3));
  EXPECT_THAT(file.get_floats("array.f32"), ElementsAre(0.5f, -1000.0f));
  EXPECT_EQ(*file.find("array.bool"), GgufValue(std::vector<bool>{true, false}));
}

TEST_F(GgufTest, ReadsTensorsThatThePythonPackageWrote) {
  const GgufFile file(fixture("golden.gguf"));
  ASSERT_EQ(file.tensors().size(), 7u);
  const GgufTensor* plain = file.find_tensor("plain.f32");
  ASSERT_NE(plain, nullptr);
  EXPECT_THAT(plain->ne, ElementsAre(4, 3, 2));
  EXPECT_THAT(plain->shape, ElementsAre(2, 3, 4));
  std::vector<float> ramp(24);
  std::iota(ramp.begin(), ramp.end(), 0.0f);
  EXPECT_EQ(values_of<float>(plain->data), ramp);
  EXPECT_THAT(values_of<uint16_t>(file.find_tensor("plain.f16")->data),
              ElementsAre(0, 0x3c00, 0x4000, 0x4200, 0x4400, 0x4500));

  const GgufTensor* rows = file.find_tensor("rows.q8_0");
  EXPECT_EQ(rows->type->name, "Q8_0");
  ASSERT_EQ(rows->data.size(), 2u * 256 / 32 * 34);
  EXPECT_EQ(static_cast<int8_t>(rows->data[2]), -127) << "the first block's largest value is its first";
  for (const char* name : {"rows.q4_0", "rows.q4_k", "rows.q6_k", "rows.iq4_xs"}) {
    const GgufTensor* tensor = file.find_tensor(name);
    ASSERT_NE(tensor, nullptr) << name;
    EXPECT_THAT(tensor->shape, ElementsAre(2, 256));
    ASSERT_EQ(tensor->data.size(), ggml_bytes(*tensor->type, tensor->shape));
    for (size_t i = 0; i < tensor->data.size(); ++i) ASSERT_EQ(static_cast<size_t>(tensor->data[i]), i % 251) << name;
  }
  EXPECT_EQ(file.find_tensor("absent"), nullptr);
}

TEST_F(GgufTest, GettersNameKeyAndFile) {
  const GgufFile file(fixture("golden.gguf"));
  const auto refused = [&](const char* key, const char* says, auto&& run) {
    expect_error(ErrorKind::kBadFile, {"golden.gguf", key, says}, run);
  };
  refused("llama.block_count", "missing", [&] { file.get_int("llama.block_count", 1, 1000); });
  refused("scalar.u64", "expected an integer in [0, 9]", [&] { file.get_int("scalar.u64", 0, 9); });
  refused("scalar.u64", "got 18446744073709551615", [&] { file.get_int("scalar.u64", INT64_MIN, INT64_MAX); });
  refused("scalar.f32", "got float32", [&] { file.get_int("scalar.f32", 0, 9); });
  refused("array.i32", "got int32 array", [&] { file.get_int("array.i32", -9, 9); });
  refused("array.f32", "got float32 array", [&] { file.get_ints("array.f32"); });
  refused("scalar.bool", "expected a number, got bool", [&] { file.get_number("scalar.bool"); });
  refused("scalar.string", "got string", [&] { file.get_bool("scalar.string"); });
  refused("scalar.u8", "got uint8", [&] { file.get_string("scalar.u8"); });
  refused("array.i32", "array of strings", [&] { file.get_strings("array.i32"); });
  refused("array.i32", "float32 array", [&] { file.get_floats("array.i32"); });
  EXPECT_EQ(file.get_int("scalar.i8", -128, 127), -128);
  EXPECT_THAT(file.get_ints("scalar.u8"), ElementsAre(255));
  EXPECT_FLOAT_EQ(static_cast<float>(file.get_number("scalar.f64")), 0.1f);
}

TEST_F(GgufTest, RoundTripOfEveryValueType) {
  const std::vector<GgufKeyValue> values = {{"a", uint8_t{1}},
                                            {"b", int8_t{-1}},
                                            {"c", uint16_t{2}},
                                            {"d", int16_t{-2}},
                                            {"e", uint32_t{3}},
                                            {"f", -3},
                                            {"g", 0.5f},
                                            {"h", false},
                                            {"i", "text"},
                                            {"j", uint64_t{4}},
                                            {"k", int64_t{-4}},
                                            {"l", 0.25},
                                            {"m", std::vector<uint8_t>{1, 2}},
                                            {"n", std::vector<int8_t>{-1}},
                                            {"o", std::vector<uint16_t>{3}},
                                            {"p", std::vector<int16_t>{-3}},
                                            {"q", std::vector<uint32_t>{4}},
                                            {"r", std::vector<int32_t>{-4, 5}},
                                            {"s", std::vector<float>{0.5f}},
                                            {"t", std::vector<bool>{true, false}},
                                            {"u", std::vector<std::string>{"", "x\ny", std::string("\0\xff", 2)}},
                                            {"v", std::vector<uint64_t>{6}},
                                            {"w", std::vector<int64_t>{-6}},
                                            {"x", std::vector<double>{0.125}},
                                            {"y", std::vector<std::string>{}}};
  GgufWriter writer;
  for (const auto& [key, value] : values) writer.set(key, value);
  writer.write(folder_ / "a.gguf", [](size_t, const ByteSink&) { FAIL() << "there is no tensor"; });
  EXPECT_EQ(fs::file_size(folder_ / "a.gguf"), writer.file_bytes());
  EXPECT_EQ(writer.header_bytes(), writer.file_bytes());
  const GgufFile file(folder_ / "a.gguf");
  ASSERT_EQ(file.values().size(), values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    EXPECT_EQ(file.values()[i].key, values[i].key);
    EXPECT_EQ(file.values()[i].value, values[i].value) << values[i].key;
  }
}

TEST_F(GgufTest, RoundTripOfEveryTensorTypeHasTheAnnouncedSize) {
  GgufWriter writer;
  writer.set("general.architecture", "llama");
  for (const GgmlType& type : ggml_types()) {
    writer.add_tensor(std::string(type.name) + ".weight", type.id, {3, 256});
    writer.add_tensor(std::string(type.name) + ".row", type.id, {type.block_elements});
  }
  uint64_t expected = writer.header_bytes();
  std::vector<uint64_t> sizes;
  for (const GgmlType& type : ggml_types())
    for (const uint64_t size : {uint64_t{3} * 256 / type.block_elements * type.block_bytes, uint64_t{type.block_bytes}})
      sizes.push_back(size), expected += gguf_padded_bytes(size);
  EXPECT_EQ(writer.file_bytes(), expected);
  const auto source = [&](size_t index, const ByteSink& append) {
    const std::vector<std::byte> bytes(sizes[index], static_cast<std::byte>(index + 1));
    append(std::span(bytes).first(bytes.size() / 2));
    append(std::span(bytes).subspan(bytes.size() / 2));
  };
  writer.write(folder_ / "a.gguf", source);
  EXPECT_EQ(fs::file_size(folder_ / "a.gguf"), expected);

  const GgufFile file(folder_ / "a.gguf");
  ASSERT_EQ(file.tensors().size(), sizes.size());
  for (size_t i = 0; i < sizes.size(); ++i) {
    const GgufTensor& tensor = file.tensors()[i];
    EXPECT_EQ(tensor.type, &ggml_types()[i / 2]);
    EXPECT_EQ(text_of(tensor.data), std::string(sizes[i], static_cast<char>(i + 1))) << tensor.name;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.data.data()) % kGgufAlignment, 0u);
  }
  EXPECT_THAT(file.tensors()[0].shape, ElementsAre(3, 256));
  EXPECT_THAT(file.tensors()[0].ne, ElementsAre(256, 3));
}

TEST_F(GgufTest, TheHeaderDoesNotDependOnTheTypesOfTensors) {
  GgufWriter small, large;
  for (GgufWriter* writer : {&small, &large}) writer->set("general.name", "x");
  small.add_tensor("w", kGgmlQ2K, {4, 256});
  large.add_tensor("w", kGgmlF32, {4, 256});
  EXPECT_EQ(small.header_bytes(), large.header_bytes());
  EXPECT_EQ(large.file_bytes() - small.file_bytes(), 4096u - gguf_padded_bytes(4 * 84));
}

TEST_F(GgufTest, AValueReadCanBeWrittenAgain) {
  const GgufFile golden(fixture("golden.gguf"));
  GgufWriter writer;
  for (const auto& [key, value] : golden.values()) writer.set(key, value);
  for (const GgufTensor& tensor : golden.tensors()) writer.add_tensor(tensor.name, tensor.type->id, tensor.shape);
  writer.write(folder_ / "copy.gguf",
               [&](size_t index, const ByteSink& append) { append(golden.tensors()[index].data); });
  EXPECT_EQ(read_file(folder_ / "copy.gguf"), read_file(fixture("golden.gguf"))) << "as gguf-py writes it";
}

TEST_F(GgufTest, TheWriterRefusesWhatLlamaCppWouldNotLoad) {
  GgufWriter writer;
  writer.set("k", 1);
  writer.add_tensor(std::string(63, 'n'), kGgmlF32, {1});
  const auto refused = [&](const char* says, auto&& run) { expect_error(ErrorKind::kInvalidArgument, {says}, run); };
  refused("set twice", [&] { writer.set("k", 2); });
  refused("cannot be set", [&] { writer.set("", 2); });
  refused("cannot be set", [&] { writer.set("general.alignment", uint32_t{64}); });
  refused("64 bytes", [&] { writer.add_tensor(std::string(64, 'n'), kGgmlF32, {1}); });
  refused("added twice", [&] { writer.add_tensor(std::string(63, 'n'), kGgmlF32, {1}); });
  refused("0 bytes", [&] { writer.add_tensor("", kGgmlF32, {1}); });
  refused("5 dimensions", [&] { writer.add_tensor("a", kGgmlF32, {1, 1, 1, 1, 1}); });
  refused("0 dimensions", [&] { writer.add_tensor("a", kGgmlF32, {}); });
  refused("empty or too large", [&] { writer.add_tensor("a", kGgmlF32, {0, 4}); });
  refused("overflows", [&] { writer.add_tensor("a", kGgmlF32, {int64_t{1} << 40, int64_t{1} << 40}); });
  refused("multiple of 256", [&] { writer.add_tensor("a", kGgmlQ4K, {256, 100}); });
  expect_error(ErrorKind::kUnsupported, {"Q8_K"}, [&] { writer.add_tensor("a", 15, {256}); });
  expect_error(ErrorKind::kUnsupported, {"999"}, [&] { writer.add_tensor("a", 999, {256}); });
  expect_error(ErrorKind::kInvalidArgument, {"got 0 bytes"},
               [&] { writer.write(folder_ / "a.gguf", [](size_t, const ByteSink&) {}); });
  EXPECT_TRUE(fs::is_empty(folder_)) << "a failed write leaves nothing";
}

TEST(GgmlType, NamesIgnoreCase) {
  EXPECT_EQ(find_ggml_type("q4_k")->id, uint32_t{kGgmlQ4K});
  EXPECT_EQ(find_ggml_type("q4_k_m"), nullptr) << "a mix of types, not a type";
  EXPECT_EQ(find_ggml_type("Q8_K"), nullptr);
  EXPECT_EQ(ggml_type_name(15), "Q8_K");
  EXPECT_EQ(ggml_type_name(1000), "");
  EXPECT_EQ(ggml_bytes(ggml_type(kGgmlQ6K), std::vector<int64_t>{3, 2, 512}), 3u * 2 * 2 * 210);
}

}  // namespace
}  // namespace vernier
