#pragma once

// Dense little-endian bit packing into 32-bit words, as compressed-tensors' pack-quantized stores codes: element i sits
// at bits [i * b, i * b + b) of the row, and a row ends on a whole word. Elements may cross words.
//
//   packed_bytes(3, 11)  // 33 bits: 8 bytes

#include <cstddef>
#include <cstdint>
#include <span>

#include "scheme/grid.h"

namespace vernier {

/// Bytes of `count` codes of `bits` bits: ceil(count * bits / 32) words.
inline uint64_t packed_bytes(int bits, int64_t count) {
  return (static_cast<uint64_t>(count) * static_cast<uint64_t>(bits) + 31) / 32 * 4;
}

/// @shape codes [n], each below 2^bits (1 <= bits <= 8); out: packed_bytes(bits, n), `stride` bytes from word to word
void pack_codes(std::span<const Code> codes, int bits, std::byte* out, size_t stride = 4);
void unpack_codes(const std::byte* packed, int bits, std::span<Code> codes, size_t stride = 4);

/// One of the codes, at index i; its neighbours stay.
void store_code(Code code, int bits, int64_t i, std::byte* packed, size_t stride = 4);
Code load_code(const std::byte* packed, int bits, int64_t i, size_t stride = 4);

}  // namespace vernier
