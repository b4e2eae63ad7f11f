#pragma once

// Characters and bytes under the tokenizer: Unicode classes, and GPT-2's alphabet that writes every byte as one printable
// character ("Ġ" is the space).

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/utf8.h"

namespace vernier {

bool is_unicode_space(char32_t code);  ///< the property White_Space
bool is_word_character(char32_t code);

/// UTF-8 of the character that stands for a byte.
const std::array<std::string, 256>& byte_alphabet();
/// The bytes that a token spells; nothing when it has a character outside the alphabet.
std::optional<std::string> bytes_of_token(std::string_view token);

/// `text` in Unicode's form C. `text` is valid UTF-8. @throws Error{kInternal} when memory runs out
std::string to_nfc(std::string_view text);

/// Each run of whitespace becomes one space.
std::string with_single_spaces(std::string_view text);
/// Character by character, as Rust's char::to_lowercase. `text` is valid UTF-8.
std::string to_lower(std::string_view text);

/// At most about 60 bytes of `text`, whole characters, for messages.
std::string shorten(std::string_view text);

}  // namespace vernier
