#include "base/utf8.h"

#include <cstdint>
#include <cstring>

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

std::string_view without_byte_order_mark(std::string_view text, const std::string& origin) {
  using std::string_view_literals::operator""sv;
  constexpr std::string_view kUtf8 = "\xEF\xBB\xBF";
  struct Foreign {
    std::string_view mark, encoding;
  };
  // The mark of UTF-32 begins with that of UTF-16, so it comes first.
  constexpr Foreign kForeign[] = {
      {"\xFF\xFE\0\0"sv, "UTF-32"}, {"\0\0\xFE\xFF"sv, "UTF-32"}, {"\xFF\xFE"sv, "UTF-16"}, {"\xFE\xFF"sv, "UTF-16"}};
  for (const auto& [mark, encoding] : kForeign)
    if (text.starts_with(mark))
      fail(ErrorKind::kBadFile, "{}: got {} (by its byte-order mark), expected UTF-8; convert it: iconv -f {} -t UTF-8",
           origin, encoding, encoding);
  if (text.starts_with(kUtf8)) text.remove_prefix(kUtf8.size());
  return text;
}

}  // namespace vernier
