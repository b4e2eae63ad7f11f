#pragma once

// 16 bits as all stored layouts have them: little-endian, at any address.

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

}  // namespace vernier
