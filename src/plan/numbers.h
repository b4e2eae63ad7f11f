#pragma once

// Whole numbers as people read them: 16,950,144.

#include <cstdint>
#include <string>

namespace vernier {

inline std::string with_commas(uint64_t number) {
  std::string digits = std::to_string(number);
  for (size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, ",");
  return digits;
}

}  // namespace vernier
