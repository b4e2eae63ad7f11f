#pragma once

// 16 and 32 bits as all stored layouts have them: little-endian, at any address.

#include <bit>
#include <cstddef>
#include <cstdint>

namespace vernier {

inline void store_u16(uint16_t value, std::byte* out) {
  out[0] = static_cast<std::byte>(value);
  out[1] = static_cast<std::byte>(value >> 8);
}
inline uint16_t load_u16(const std::byte* in) {
  return static_cast<uint16_t>(static_cast<uint32_t>(in[0]) | static_cast<uint32_t>(in[1]) << 8);
}
inline void store_f32(float value, std::byte* out) {
  const auto bits = std::bit_cast<uint32_t>(value);
  store_u16(static_cast<uint16_t>(bits), out);
  store_u16(static_cast<uint16_t>(bits >> 16), out + 2);
}
inline float load_f32(const std::byte* in) {
  return std::bit_cast<float>(static_cast<uint32_t>(load_u16(in)) | static_cast<uint32_t>(load_u16(in + 2)) << 16);
}

}  // namespace vernier
