#include "format/tokenizer_text.h"

#include <utf8proc.h>

#include <cstdlib>
#include <memory>
#include <vector>

#include "base/fail.h"

namespace vernier {

bool is_unicode_space(char32_t c) {
  if (c < 0x80) return c == 0x20 || (c >= 0x09 && c <= 0x0D);
  return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
         c == 0x202F || c == 0x205F || c == 0x3000;
}

bool is_word_character(char32_t c) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC: return true;
    default:  // joiners, and the circled and squared letters, which are symbols but alphabetic
      return c == 0x200C || c == 0x200D || (c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) ||
             (c >= 0x1F150 && c <= 0x1F169) || (c >= 0x1F170 && c <= 0x1F189);
  }
}

namespace {
// Printable Latin-1 stands for itself; the other 68 bytes are, in order, the characters from U+0100 on.
bool stands_for_itself(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || (byte >= 0xAE && byte <= 0xFF);
}

constexpr char32_t kAlphabetEnd = 0x100 + 68;

const std::array<int, kAlphabetEnd>& byte_of_character() {
  static const std::array<int, kAlphabetEnd> table = [] {
    std::array<int, kAlphabetEnd> bytes;
    bytes.fill(-1);
    char32_t next = 0x100;
    for (int byte = 0; byte < 256; ++byte) bytes[stands_for_itself(byte) ? char32_t(byte) : next++] = byte;
    return bytes;
  }();
  return table;
}
}  // namespace

const std::array<std::string, 256>& byte_alphabet() {
  static const std::array<std::string, 256> alphabet = [] {
    std::array<std::string, 256> characters;
    for (char32_t code = 0; code < kAlphabetEnd; ++code) {
      const int byte = byte_of_character()[code];
      if (byte < 0) continue;
      if (code < 0x80) {
        characters[byte] = static_cast<char>(code);
      } else {
        characters[byte] = {static_cast<char>(0xC0 | code >> 6), static_cast<char>(0x80 | (code & 0x3F))};
      }
    }
    return characters;
  }();
  return alphabet;
}

std::optional<std::string> bytes_of_token(std::string_view token) {
  std::string bytes;
  bytes.reserve(token.size());
  for (size_t i = 0; i < token.size();) {
    const Utf8Unit unit = utf8_at(token, i);
    if (!unit.valid || unit.code >= kAlphabetEnd || byte_of_character()[unit.code] < 0) return std::nullopt;
    bytes += static_cast<char>(byte_of_character()[unit.code]);
    i += unit.length;
  }
  return bytes;
}

std::string to_nfc(std::string_view text) {
  // Characters below U+0300 (lead bytes below 0xCC) are in form C whatever surrounds them.
  bool changes = false;
  for (const char c : text) changes |= static_cast<unsigned char>(c) >= 0xCC;
  if (!changes) return std::string(text);
  utf8proc_uint8_t* mapped = nullptr;
  const utf8proc_ssize_t length =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()),
                   &mapped, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  const std::unique_ptr<utf8proc_uint8_t, void (*)(void*)> owner(mapped, std::free);
  if (length < 0) fail(ErrorKind::kInternal, "tokenizer: normalization failed: {}", utf8proc_errmsg(length));
  return std::string(reinterpret_cast<const char*>(mapped), static_cast<size_t>(length));
}

std::string with_single_spaces(std::string_view text) {
  std::string result;
  bool in_space = false;
  for (size_t i = 0; i < text.size();) {
    const Utf8Unit unit = utf8_at(text, i);
    const bool space = is_unicode_space(unit.code);
    if (!space) result += text.substr(i, unit.length);
    if (space && !in_space) result += ' ';
    in_space = space;
    i += unit.length;
  }
  return result;
}

std::string to_lower(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size();) {
    const Utf8Unit unit = utf8_at(text, i);
    constexpr char32_t kCapitalIWithDot = 0x130;  // the only one that becomes two characters
    const auto lower = static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(unit.code)));
    if (unit.code == kCapitalIWithDot) {
      result += "i\u0307";
    } else if (lower == unit.code) {
      result += text.substr(i, unit.length);
    } else {
      utf8proc_uint8_t bytes[4];
      const utf8proc_ssize_t length = utf8proc_encode_char(static_cast<utf8proc_int32_t>(lower), bytes);
      result.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(length));
    }
    i += unit.length;
  }
  return result;
}

std::string shorten(std::string_view text) {
  constexpr size_t kLimit = 60;
  if (text.size() <= kLimit) return replace_invalid_utf8(text);
  size_t end = kLimit;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return replace_invalid_utf8(text.substr(0, end)) + "...";
}

}  // namespace vernier
