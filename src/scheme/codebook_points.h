#pragma once

// The points of ggml's codebooks of several weights at once: facts of the file format, as a table each.
//
//   iq3_s_points()[index] >> 4 * i & 15    // which level weight i of the four has

#include <cstdint>
#include <span>

namespace vernier {

/// Eight weights of two bits a level: magnitudes for iq2, -1, 0 and 1 for iq1 (both of its types).
std::span<const uint16_t> iq2_xxs_points();
std::span<const uint16_t> iq2_xs_points();
std::span<const uint16_t> iq2_s_points();
std::span<const uint16_t> iq1_points();
/// Four weights of four bits a level, magnitudes.
std::span<const uint16_t> iq3_xxs_points();
std::span<const uint16_t> iq3_s_points();

}  // namespace vernier
