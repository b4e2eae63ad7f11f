#include "base/text_table.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/utf8.h"

namespace vernier {

namespace {

constexpr size_t kGap = 2;
constexpr size_t kShortest = 16;  // of what a cut leaves: enough to tell tensors of a layer apart

size_t width_of(const Utf8Unit& unit) {
  return unit.valid ? static_cast<size_t>(utf8proc_charwidth(static_cast<utf8proc_int32_t>(unit.code))) : 1;
}

/// At most `width` columns of `text`, the last one "…" when something is left out.
std::string cut(const std::string& text, size_t width) {
  if (display_width(text) <= width) return text;
  size_t end = 0;
  for (size_t used = 0; end < text.size();) {
    const Utf8Unit unit = utf8_at(text, end);
    used += width_of(unit);
    if (used + 1 > width) break;
    end += unit.length;
  }
  return text.substr(0, end) + "…";
}

/// Numbers with what stands around them, such as "0.12 ± 0.01", "-", "1.5e-3" or "4.50% [4.10%, 4.90%]", and empty cells. Half a number
/// would be another number.
bool is_figure(std::string_view cell) {
  if (cell == "nan" || cell == "inf" || cell == "-inf") return true;
  for (size_t i = 0; i < cell.size();) {
    const Utf8Unit unit = utf8_at(cell, i);
    const bool exponent = unit.code == 'e' && i > 0 && cell[i - 1] >= '0' && cell[i - 1] <= '9';
    if (!exponent &&
        (unit.code == 0 || std::u32string_view(U"0123456789 .,+-−±×%/[]").find(unit.code) == std::u32string_view::npos))
      return false;
    i += unit.length;
  }
  return true;
}

/// Whether a cell begins as a number does, whatever is said behind it: "0.12 worse".
bool begins_as_figure(std::string_view cell) {
  return cell.empty() || is_figure(cell.substr(0, utf8_at(cell, 0).length));
}

}  // namespace

std::string number_cell(double value, int decimals, bool sign) {
  if (!std::isfinite(value)) return "-";
  return sign ? fmt::format("{:+.{}f}", value, decimals) : fmt::format("{:.{}f}", value, decimals);
}

size_t display_width(std::string_view text) {
  size_t width = 0;
  for (size_t i = 0; i < text.size();) {
    const Utf8Unit unit = utf8_at(text, i);
    width += width_of(unit);
    i += unit.length;
  }
  return width;
}

std::vector<size_t> TextTable::widths(size_t max_width) const {
  std::vector<size_t> widths, least;
  for (const auto& cell : header_) {
    widths.push_back(display_width(cell));
    least.push_back(0);
  }
  std::vector<bool> has_text(header_.size(), false);
  for (const auto& row : rows_)
    for (size_t c = 0; c < row.size() && c < widths.size(); ++c) {
      const size_t width = display_width(row[c]);
      widths[c] = std::max(widths[c], width);
      if (is_figure(row[c]))
        least[c] = std::max(least[c], width);
      else
        has_text[c] = true;
    }
  if (max_width == 0) return widths;
  for (size_t c = 0; c < widths.size(); ++c)
    least[c] = has_text[c] ? std::min(widths[c], std::max(least[c], kShortest)) : widths[c];
  size_t total = std::accumulate(widths.begin(), widths.end(), kGap * (widths.size() - 1));
  // The longest of those that can be cut, column by column: long texts come down to the length of the next ones.
  while (total > max_width) {
    size_t longest = widths.size();
    for (size_t c = 0; c < widths.size(); ++c)
      if (widths[c] > least[c] && (longest == widths.size() || widths[c] > widths[longest])) longest = c;
    if (longest == widths.size()) break;
    --widths[longest];
    --total;
  }
  return widths;
}

std::string TextTable::str(size_t max_width) const {
  const std::vector<size_t> widths = this->widths(max_width);
  std::vector<bool> words(header_.size(), true);  // from the left; figures end below each other
  for (size_t c = 1; c < words.size(); ++c)
    words[c] = std::any_of(rows_.begin(), rows_.end(),
                           [&](const auto& row) { return c < row.size() && !begins_as_figure(row[c]); });
  std::string text;
  const auto put = [&](const std::vector<std::string>& row) {
    std::string line;
    for (size_t c = 0; c < widths.size(); ++c) {
      const std::string cell = c < row.size() ? cut(row[c], widths[c]) : "";
      const std::string padding(widths[c] - display_width(cell), ' ');
      if (c > 0) line += std::string(kGap, ' ');
      line += words[c] ? cell + padding : padding + cell;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  };
  put(header_);
  text += std::string(std::accumulate(widths.begin(), widths.end(), kGap * (widths.size() - 1)), '-') + "\n";
  for (const auto& row : rows_) put(row);
  return text;
}

}  // namespace vernier
