#pragma once

// UTF-8 that may be broken, and files that may be in another encoding.

#include <cstddef>
#include <string>
#include <string_view>

namespace vernier {

struct Utf8Unit {
  char32_t code = 0;  ///< U+FFFD when invalid
  size_t length = 0;  ///< bytes; of the longest broken prefix when invalid, as Unicode recommends and Python does
  bool valid = false;
};

/// The character at `position`, which must lie inside `text`.
Utf8Unit utf8_at(std::string_view text, size_t position);
/// The character that ends at `end` (> 0) of valid UTF-8.
Utf8Unit utf8_before(std::string_view valid, size_t end);
size_t valid_utf8_prefix(std::string_view text);
/// Every broken part becomes one U+FFFD.
std::string replace_invalid_utf8(std::string_view text);

/// `text` without the byte-order mark of UTF-8 that some editors put in front; `origin` names it in messages.
/// @throws Error{kBadFile} for the byte-order mark of UTF-16 or UTF-32
std::string_view without_byte_order_mark(std::string_view text, const std::string& origin);

}  // namespace vernier
