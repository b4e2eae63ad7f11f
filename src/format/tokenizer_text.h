#pragma once

// Characters and bytes under the tokenizer: UTF-8 that may be broken, Unicode classes, and GPT-2's alphabet that writes
// every byte as one printable character ("Ġ" is the space).

#include <array>
#include <cstdint>
#include <optional>
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

bool is_unicode_space(char32_t code);  ///< the property White_Space
bool is_word_character(char32_t code);

/// UTF-8 of the character that stands for a byte.
const std::array<std::string, 256>& byte_alphabet();
/// The bytes that a token spells; nothing when it has a character outside the alphabet.
std::optional<std::string> bytes_of_token(std::string_view token);

/// `text` in Unicode's form C. `text` is valid UTF-8. @throws Error{kInternal} when memory runs out
std::string to_nfc(std::string_view text);

/// At most about 60 bytes of `text`, whole characters, for messages.
std::string shorten(std::string_view text);

}  // namespace vernier
