#include "format/dtype.h"

#include "base/fail.h"

namespace vernier {

namespace {
struct Row {
  std::string_view name;
  unsigned bits;
  DType dtype;
};
// In the order of the enum, so that the first rows can be indexed by it.
constexpr Row kRows[] = {
    {"F64", 64, DType::kF64},          {"F32", 32, DType::kF32},      {"F16", 16, DType::kF16},
    {"BF16", 16, DType::kBF16},        {"I64", 64, DType::kI64},      {"I32", 32, DType::kI32},
    {"I16", 16, DType::kI16},          {"I8", 8, DType::kI8},         {"U8", 8, DType::kU8},
    {"BOOL", 8, DType::kBool},         {"U16", 16, DType::kOther},    {"U32", 32, DType::kOther},
    {"U64", 64, DType::kOther},        {"C64", 64, DType::kOther},    {"F8_E4M3", 8, DType::kOther},
    {"F8_E5M2", 8, DType::kOther},     {"F8_E8M0", 8, DType::kOther}, {"F8_E4M3FNUZ", 8, DType::kOther},
    {"F8_E5M2FNUZ", 8, DType::kOther}, {"F6_E2M3", 6, DType::kOther}, {"F6_E3M2", 6, DType::kOther},
    {"F4", 4, DType::kOther},
};

const Row& row_of(DType dtype) {
  if (dtype >= DType::kOther) fail(ErrorKind::kInvalidArgument, "dtype: expected one that can be read, got kOther");
  return kRows[static_cast<size_t>(dtype)];
}

const Row* find_row(std::string_view name) {
  for (const Row& row : kRows)
    if (row.name == name) return &row;
  return nullptr;
}
}  // namespace

std::string_view dtype_name(DType dtype) { return row_of(dtype).name; }

uint64_t dtype_bytes(DType dtype) { return row_of(dtype).bits / 8; }

DType dtype_from_name(std::string_view name) {
  const Row* row = find_row(name);
  return row == nullptr ? DType::kOther : row->dtype;
}

unsigned dtype_name_bits(std::string_view name) {
  const Row* row = find_row(name);
  return row == nullptr ? 0 : row->bits;
}

}  // namespace vernier
