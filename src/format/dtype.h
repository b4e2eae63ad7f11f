#pragma once

// Element types of safetensors files: the ones that can be read and written, and the sizes of the others, so that a
// file that holds them can still be checked and listed.
//
//   dtype_from_name("BF16") == DType::kBF16;  dtype_bytes(DType::kBF16) == 2;
//   dtype_from_name("F8_E4M3") == DType::kOther;  dtype_name_bits("F8_E4M3") == 8;

#include <cstdint>
#include <string_view>

namespace vernier {

enum class DType { kF64, kF32, kF16, kBF16, kI64, kI32, kI16, kI8, kU8, kBool, kOther };

/// The spelling in the file. @throws Error{kInvalidArgument} for kOther, whose name only the file knows
std::string_view dtype_name(DType dtype);
/// Bytes of one element. @throws Error{kInvalidArgument} for kOther
uint64_t dtype_bytes(DType dtype);
/// kOther for every name that is not one of the enum's.
DType dtype_from_name(std::string_view name);
/// Bits of one element of any type of the format, those of kOther included; 0 when the name is unknown.
unsigned dtype_name_bits(std::string_view name);

}  // namespace vernier
