#pragma once

// Comma-separated values as RFC 4180 says: cells in double quotes may hold commas, line ends and doubled quotes.
//
//   const CsvTable table = parse_csv(text, "test.csv");
//   table.rows[0].cells[*table.column("label")]

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vernier {

struct CsvRow {
  int64_t line = 0;                ///< where it begins, from 1
  std::vector<std::string> cells;  ///< as many as the header has
};

struct CsvTable {
  std::vector<std::string> header;
  std::vector<CsvRow> rows;
  std::optional<size_t> column(std::string_view name) const;
};

/// Lines end in LF, CR LF or CR; empty ones are skipped, and a byte-order mark too. `origin` names the text in messages.
/// @throws Error{kBadFile} by line for text that is not UTF-8, a quote that is not closed or stands inside of a bare cell,
///         a row of another length than the header, a column named twice, and no header
CsvTable parse_csv(std::string_view bytes, const std::string& origin);

}  // namespace vernier
