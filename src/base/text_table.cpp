#include "base/text_table.h"

#include <algorithm>

namespace vernier {

namespace {
size_t characters(const std::string& text) {  // UTF-8: every byte that does not continue a character
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}
}  // namespace

std::string TextTable::str() const {
  std::vector<size_t> widths;
  for (const auto& cell : header_) widths.push_back(characters(cell));
  for (const auto& row : rows_)
    for (size_t c = 0; c < row.size() && c < widths.size(); ++c) widths[c] = std::max(widths[c], characters(row[c]));

  std::string text;
  const auto put = [&](const std::vector<std::string>& row) {
    std::string line;
    for (size_t c = 0; c < widths.size(); ++c) {
      const std::string cell = c < row.size() ? row[c] : "";
      const std::string padding(widths[c] - characters(cell), ' ');
      if (c > 0) line += "  ";
      line += c == 0 ? cell + padding : padding + cell;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  };
  put(header_);
  size_t total = 2 * (widths.size() - 1);
  for (const size_t width : widths) total += width;
  text += std::string(total, '-') + "\n";
  for (const auto& row : rows_) put(row);
  return text;
}

}  // namespace vernier
