#include "base/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <string_view>

namespace vernier {

bool is_terminal(std::FILE* stream) { return ::isatty(::fileno(stream)) == 1; }

std::string plainly(std::string_view text) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string plain;
  const auto escape = [&](unsigned char byte) { plain += {'\\', 'x', kDigits[byte >> 4], kDigits[byte & 15]}; };
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = static_cast<unsigned char>(i + 1 < text.size() ? text[i + 1] : 0);
    if (byte == 0xc2 && next >= 0x80 && next < 0xa0) {  // a control character of Latin-1: U+009B begins sequences, too
      escape(byte);
      escape(next);
      ++i;
    } else if ((byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7f) {
      escape(byte);
    } else {
      plain += text[i];
    }
  }
  return plain;
}

int terminal_width(std::FILE* stream) {
  if (!is_terminal(stream)) return 0;
  if (const char* columns = std::getenv("COLUMNS")) {
    const std::string_view text(columns);
    int width = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), width);
    if (error == std::errc() && end == text.data() + text.size() && width > 0) return width;
  }
  winsize size{};
  return ::ioctl(::fileno(stream), TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

void say(std::FILE* stream, std::string_view text) {
  [[maybe_unused]] const size_t written = std::fwrite(text.data(), 1, text.size(), stream);
  std::fflush(stream);
}

}  // namespace vernier
