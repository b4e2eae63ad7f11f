#include "format/tokenizer_text.h"

#include <utf8proc.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "base/fail.h"

namespace vernier {

Utf8Unit utf8_at(std::string_view text, size_t position) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[position + i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {lead, 1, true};
  const Utf8Unit broken{0xFFFD, 1, false};
  size_t length = 0;
  unsigned low = 0x80, high = 0xBF;  // what the second byte may be: no overlong forms, surrogates or code > 10FFFF
  if (lead >= 0xC2 && lead <= 0xDF) {
    length = 2;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  } else {
    return broken;
  }
  char32_t code = lead & (0x7Fu >> length);
  for (size_t i = 1; i < length; ++i) {
    if (position + i >= text.size() || byte(i) < low || byte(i) > high) return {0xFFFD, i, false};
    code = code << 6 | (byte(i) & 0x3Fu);
    low = 0x80;
    high = 0xBF;
  }
  return {code, length, true};
}

Utf8Unit utf8_before(std::string_view valid, size_t end) {
  size_t start = end - 1;
  while (start > 0 && (static_cast<unsigned char>(valid[start]) & 0xC0) == 0x80) --start;
  return utf8_at(valid, start);
}

size_t valid_utf8_prefix(std::string_view text) {
  size_t i = 0;
  while (i < text.size()) {
    for (uint64_t word; i + 8 <= text.size(); i += 8) {
      std::memcpy(&word, text.data() + i, 8);
      if ((word & 0x8080808080808080u) != 0) break;
    }
    if (i == text.size()) break;
    const Utf8Unit unit = utf8_at(text, i);
    if (!unit.valid) return i;
    i += unit.length;
  }
  return i;
}

std::string replace_invalid_utf8(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    const size_t good = valid_utf8_prefix(text);
    result.append(text.substr(0, good));
    text.remove_prefix(good);
    if (text.empty()) break;
    result += "\xEF\xBF\xBD";
    text.remove_prefix(utf8_at(text, 0).length);
  }
  return result;
}

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

std::string shorten(std::string_view text) {
  constexpr size_t kLimit = 60;
  if (text.size() <= kLimit) return replace_invalid_utf8(text);
  size_t end = kLimit;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return replace_invalid_utf8(text.substr(0, end)) + "...";
}

}  // namespace vernier
