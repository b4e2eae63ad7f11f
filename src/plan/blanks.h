#pragma once

// Blanks around what people write: spaces and tabs, in no locale.

#include <string_view>

namespace vernier {

inline bool is_blank(char c) { return c == ' ' || c == '\t'; }

/// `text` without blanks at its ends.
inline std::string_view trim(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace vernier
