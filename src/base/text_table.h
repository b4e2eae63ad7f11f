#pragma once

// A table for a terminal: first column left, the others right, widths counted in what a terminal shows.
//
//   TextTable table({"tensor", "bytes", "reason"});
//   table.add({"blk.0.attn_q.weight", "36864", "..."});
//   fmt::print("{}", table.str(terminal_width(stdout)));

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace vernier {

class TextTable {
 public:
  explicit TextTable(std::vector<std::string> header) : header_(std::move(header)) {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  /// Ends in a newline; rows shorter than the header are padded with empty cells. A table of more than `max_width`
  /// terminal columns (0: no limit) has the longest texts cut, ending in "…", but not below 16 columns, and no number.
  std::string str(size_t max_width = 0) const;

 private:
  std::vector<size_t> widths(size_t max_width) const;

  std::vector<std::string> header_;
  std::vector<std::vector<std::string>> rows_;
};

/// A number for a cell, and for text beside it: "-" where there is none (NaN, infinity), such as the error of one window.
std::string number_cell(double value, int decimals, bool sign = false);

/// Terminal columns that UTF-8 `text` takes: two for wide characters as in Chinese, none for combining marks.
size_t display_width(std::string_view text);

}  // namespace vernier
