#pragma once

// The element types of GGUF tensors: id in the file, name, and the block that is stored as a unit along a row.
//
//   const GgmlType& type = ggml_type(kGgmlQ4K);
//   ggml_bytes(type, shape) == rows * columns / 256 * 144

#include <cstdint>
#include <span>
#include <string_view>

namespace vernier {

/// Ids as in the file.
enum GgmlTypeId : uint32_t {
  kGgmlF32 = 0,
  kGgmlF16 = 1,
  kGgmlQ4_0 = 2,
  kGgmlQ4_1 = 3,
  kGgmlQ5_0 = 6,
  kGgmlQ5_1 = 7,
  kGgmlQ8_0 = 8,
  kGgmlQ2K = 10,
  kGgmlQ3K = 11,
  kGgmlQ4K = 12,
  kGgmlQ5K = 13,
  kGgmlQ6K = 14,
  kGgmlIq2Xxs = 16,
  kGgmlIq2Xs = 17,
  kGgmlIq3Xxs = 18,
  kGgmlIq1S = 19,
  kGgmlIq4Nl = 20,
  kGgmlIq3S = 21,
  kGgmlIq2S = 22,
  kGgmlIq4Xs = 23,
  kGgmlI8 = 24,
  kGgmlI16 = 25,
  kGgmlI32 = 26,
  kGgmlI64 = 27,
  kGgmlF64 = 28,
  kGgmlIq1M = 29,
  kGgmlBf16 = 30,
  kGgmlTq1_0 = 34,
  kGgmlTq2_0 = 35,
  kGgmlMxfp4 = 39,
};

struct GgmlType {
  uint32_t id;
  std::string_view name;  ///< as ggml spells it: "Q4_K"
  uint32_t block_elements;
  uint32_t block_bytes;  ///< 0: known by name only
};

/// Types that can be read and written.
std::span<const GgmlType> ggml_types();
/// @throws Error{kUnsupported}, by name where the id is known
const GgmlType& ggml_type(uint32_t id);
/// Ignores case: "q4_k". nullptr when unknown or unsupported.
const GgmlType* find_ggml_type(std::string_view name);
/// Name of any id ever given out, supported or not; empty when the id is unknown.
std::string_view ggml_type_name(uint32_t id);

/// Bytes of a tensor. @shape torch order, the last dimension is the row
/// @throws Error{kInvalidArgument} when the row is not a multiple of the block, or the size overflows
uint64_t ggml_bytes(const GgmlType& type, std::span<const int64_t> shape);

}  // namespace vernier
