#pragma once

// The table of formats that a GGUF file can hold. A new one is a pair of functions on one block and a row in the table.

#include <cstddef>
#include <cstdint>
#include <span>

namespace vernier {

struct BlockFormat {
  const char* name;  ///< as in a Scheme's spelling
  int ggml_type;
  int elements, bytes;  ///< of one block; a row is a whole number of blocks
  /// One block. @shape x, w [elements]: finite weights and importances > 0, see prepare_block; out [bytes]
  void (*encode)(const float* x, const float* w, std::byte* out);
  void (*decode)(const std::byte* in, float* y);
};

/// By falling size: f32 first.
std::span<const BlockFormat> block_formats();

// Layouts, one pair per file.
void encode_f32(const float* x, const float* w, std::byte* out);
void decode_f32(const std::byte* in, float* y);
void encode_f16(const float* x, const float* w, std::byte* out);
void decode_f16(const std::byte* in, float* y);
void encode_bf16(const float* x, const float* w, std::byte* out);
void decode_bf16(const std::byte* in, float* y);
void encode_q8_0(const float* x, const float* w, std::byte* out);
void decode_q8_0(const std::byte* in, float* y);
void encode_q5_1(const float* x, const float* w, std::byte* out);
void decode_q5_1(const std::byte* in, float* y);
void encode_q5_0(const float* x, const float* w, std::byte* out);
void decode_q5_0(const std::byte* in, float* y);
void encode_q4_1(const float* x, const float* w, std::byte* out);
void decode_q4_1(const std::byte* in, float* y);
void encode_q4_0(const float* x, const float* w, std::byte* out);
void decode_q4_0(const std::byte* in, float* y);
void encode_q6_k(const float* x, const float* w, std::byte* out);
void decode_q6_k(const std::byte* in, float* y);
void encode_q5_k(const float* x, const float* w, std::byte* out);
void decode_q5_k(const std::byte* in, float* y);
void encode_q4_k(const float* x, const float* w, std::byte* out);
void decode_q4_k(const std::byte* in, float* y);
void encode_q3_k(const float* x, const float* w, std::byte* out);
void decode_q3_k(const std::byte* in, float* y);
void encode_q2_k(const float* x, const float* w, std::byte* out);
void decode_q2_k(const std::byte* in, float* y);

/// Little-endian 16 bits, as all of these layouts store a half.
inline void store_u16(uint16_t value, std::byte* out) {
  out[0] = static_cast<std::byte>(value);
  out[1] = static_cast<std::byte>(value >> 8);
}
inline uint16_t load_u16(const std::byte* in) {
  return static_cast<uint16_t>(static_cast<uint32_t>(in[0]) | static_cast<uint32_t>(in[1]) << 8);
}

}  // namespace vernier
