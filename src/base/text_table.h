#pragma once

// A table for a terminal: first column left, the others right, widths counted in characters, not bytes.

#include <string>
#include <vector>

namespace vernier {

class TextTable {
 public:
  explicit TextTable(std::vector<std::string> header) : header_(std::move(header)) {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  /// Ends in a newline; rows shorter than the header are padded with empty cells.
  std::string str() const;

 private:
  std::vector<std::string> header_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace vernier
