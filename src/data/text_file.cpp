// Bytes that a tokenizer would take without complaint, and that would be measured as a very bad model.

#include <algorithm>

#include "base/fail.h"
#include "base/output_file.h"
#include "base/utf8.h"
#include "vernier/data.h"

namespace vernier {

namespace {

/// "data: origin: byte 17 (line 2)", counted as editors and `dd` do: bytes from 0, lines from 1.
std::string place_of(std::string_view bytes, size_t offset, const std::string& origin) {
  const auto lines = std::count(bytes.begin(), bytes.begin() + static_cast<int64_t>(offset), '\n');
  return fmt::format("data: {}: byte {} (line {})", origin, offset, lines + 1);
}

void check_text(std::string_view bytes, const std::string& origin) {
  // A NUL is valid UTF-8, but no text: every ASCII character of UTF-16 has one.
  if (const size_t nul = bytes.find('\0'); nul != std::string_view::npos)
    fail(ErrorKind::kBadFile,
         "{}: got a NUL, expected UTF-8 text; binary data is not measured, UTF-16 is converted by "
         "iconv -f UTF-16LE -t UTF-8",
         place_of(bytes, nul, origin));
  const size_t good = valid_utf8_prefix(bytes);
  if (good == bytes.size()) return;
  // A character that is broken off and valid so far is a cut, not another encoding.
  const Utf8Unit broken = utf8_at(bytes, good);
  const auto lead = static_cast<unsigned char>(bytes[good]);
  if (good + broken.length == bytes.size() && lead >= 0xC2 && lead <= 0xF4)
    fail(ErrorKind::kBadFile, "{}: the text ends within a character of UTF-8; cut it at the end of a line",
         place_of(bytes, good, origin));
  fail(ErrorKind::kBadFile,
       "{}: got the byte 0x{:02X}, expected UTF-8; convert the text from its encoding, such as "
       "iconv -f ISO-8859-1 -t UTF-8",
       place_of(bytes, good, origin), lead);
}

}  // namespace

TextFile text_from_bytes(std::string_view bytes, const std::string& origin) {
  const std::string_view content = without_byte_order_mark(bytes, "data: " + origin);
  check_text(bytes, origin);  // with the mark, so that places are those of the file
  TextFile file;
  file.byte_order_mark = content.size() < bytes.size();
  file.text.reserve(content.size());
  for (size_t i = 0; i < content.size(); ++i) {
    if (content[i] != '\r') {
      file.text += content[i];
      continue;
    }
    ++file.carriage_returns;
    file.text += '\n';
    if (i + 1 < content.size() && content[i + 1] == '\n') ++i;
  }
  return file;
}

TextFile read_text_file(const std::filesystem::path& path) { return text_from_bytes(read_file(path), path.string()); }

}  // namespace vernier
