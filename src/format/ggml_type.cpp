#include "format/ggml_type.h"

#include <algorithm>
#include <cctype>

#include "base/fail.h"
#include "format/bytes.h"

namespace vernier {

namespace {
constexpr GgmlType kSupported[] = {
    {kGgmlF32, "F32", 1, 4},         {kGgmlF16, "F16", 1, 2},           {kGgmlQ4_0, "Q4_0", 32, 18},
    {kGgmlQ4_1, "Q4_1", 32, 20},     {kGgmlQ5_0, "Q5_0", 32, 22},       {kGgmlQ5_1, "Q5_1", 32, 24},
    {kGgmlQ8_0, "Q8_0", 32, 34},     {kGgmlQ2K, "Q2_K", 256, 84},       {kGgmlQ3K, "Q3_K", 256, 110},
    {kGgmlQ4K, "Q4_K", 256, 144},    {kGgmlQ5K, "Q5_K", 256, 176},      {kGgmlQ6K, "Q6_K", 256, 210},
    {kGgmlIq4Nl, "IQ4_NL", 32, 18},  {kGgmlIq4Xs, "IQ4_XS", 256, 136},  {kGgmlMxfp4, "MXFP4", 32, 17},
    {kGgmlIq3S, "IQ3_S", 256, 110},  {kGgmlIq3Xxs, "IQ3_XXS", 256, 98}, {kGgmlIq2S, "IQ2_S", 256, 82},
    {kGgmlIq2Xs, "IQ2_XS", 256, 74}, {kGgmlIq2Xxs, "IQ2_XXS", 256, 66}, {kGgmlIq1M, "IQ1_M", 256, 56},
    {kGgmlIq1S, "IQ1_S", 256, 50},   {kGgmlTq2_0, "TQ2_0", 256, 66},    {kGgmlTq1_0, "TQ1_0", 256, 54},
    {kGgmlI8, "I8", 1, 1},           {kGgmlI16, "I16", 1, 2},           {kGgmlI32, "I32", 1, 4},
    {kGgmlI64, "I64", 1, 8},         {kGgmlF64, "F64", 1, 8},           {kGgmlBf16, "BF16", 1, 2},
};

// Known by name only: types whose values nothing here decodes, and ids that ggml has retired.
constexpr GgmlType kOthers[] = {
    {4, "Q4_2", 0, 0},        {5, "Q4_3", 0, 0},        {9, "Q8_1", 0, 0},      {15, "Q8_K", 0, 0},
    {31, "Q4_0_4_4", 0, 0},   {32, "Q4_0_4_8", 0, 0},   {33, "Q4_0_8_8", 0, 0}, {36, "IQ4_NL_4_4", 0, 0},
    {37, "IQ4_NL_4_8", 0, 0}, {38, "IQ4_NL_8_8", 0, 0}, {40, "NVFP4", 0, 0},    {41, "Q1_0", 0, 0},
    {42, "Q2_0", 0, 0},
};

bool same_letters(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](unsigned char x, unsigned char y) { return std::toupper(x) == std::toupper(y); });
}
}  // namespace

std::span<const GgmlType> ggml_types() { return kSupported; }

const GgmlType& ggml_type(uint32_t id) {
  for (const GgmlType& type : kSupported)
    if (type.id == id) return type;
  const std::string_view name = ggml_type_name(id);
  fail(
      ErrorKind::kUnsupported,
      "gguf: tensor type {} (id {}) is not supported; files of F32, F16, BF16, Q8_0, Q2_K to Q6_K or IQ types are read",
      name.empty() ? "unknown" : name, id);
}

const GgmlType* find_ggml_type(std::string_view name) {
  for (const GgmlType& type : kSupported)
    if (same_letters(type.name, name)) return &type;
  return nullptr;
}

std::string_view ggml_type_name(uint32_t id) {
  for (const GgmlType& type : kSupported)
    if (type.id == id) return type.name;
  for (const GgmlType& type : kOthers)
    if (type.id == id) return type.name;
  return "";
}

uint64_t ggml_bytes(const GgmlType& type, std::span<const int64_t> shape) {
  uint64_t count = 0, bytes = 0;
  if (!count_elements(shape, &count))
    fail(ErrorKind::kInvalidArgument, "gguf: shape {} is negative or overflows", shape_text(shape));
  const int64_t row = shape.empty() ? 1 : shape.back();
  if (row % type.block_elements != 0)
    fail(ErrorKind::kInvalidArgument, "gguf: {} needs rows that are a multiple of {}, got shape {}; try Q8_0 or F16",
         type.name, type.block_elements, shape_text(shape));
  if (multiply_overflows(count / type.block_elements, type.block_bytes, &bytes))
    fail(ErrorKind::kInvalidArgument, "gguf: the size of shape {} overflows", shape_text(shape));
  return bytes;
}

}  // namespace vernier
