#include "data/csv.h"

#include <algorithm>
#include <set>

#include "base/fail.h"
#include "vernier/data.h"

namespace vernier {

namespace {

class CsvReader {
 public:
  CsvReader(const std::string& text, const std::string& origin) : text_(text), origin_(origin) {}

  /// False at the end.
  bool next(CsvRow& row) {
    while (place_ < text_.size() && text_[place_] == '\n') ++place_, ++line_;
    if (place_ == text_.size()) return false;
    row.line = line_;
    row.cells.clear();
    do row.cells.push_back(text_[place_] == '"' ? quoted() : bare());
    while (more());
    return true;
  }

 private:
  /// Behind a cell: whether another one follows on its row.
  bool more() {
    if (place_ == text_.size()) return false;
    const char c = text_[place_++];
    if (c == '\n') ++line_;
    return c == ',';
  }

  std::string bare() {
    const size_t end = std::min(text_.find_first_of(",\n", place_), text_.size());
    std::string cell = text_.substr(place_, end - place_);
    if (cell.find('"') != std::string::npos)
      fail(ErrorKind::kBadFile, "data: {}:{}: a quote inside of a cell that does not begin with one; expected \"...\"",
           origin_, line_);
    place_ = end;
    return cell;
  }

  std::string quoted() {
    const int64_t begin = line_;
    std::string cell;
    for (++place_; place_ < text_.size(); ++place_) {
      if (text_[place_] == '"') {
        ++place_;
        const bool doubled = place_ < text_.size() && text_[place_] == '"';
        if (!doubled) return closed(std::move(cell));
      }
      if (text_[place_] == '\n') ++line_;
      cell += text_[place_];
    }
    fail(ErrorKind::kBadFile, "data: {}:{}: a quote is opened here and never closed", origin_, begin);
  }

  std::string closed(std::string cell) const {
    if (place_ < text_.size() && text_[place_] != ',' && text_[place_] != '\n')
      fail(ErrorKind::kBadFile, "data: {}:{}: got '{}' behind a closing quote, expected a comma or the line's end",
           origin_, line_, text_[place_]);
    return cell;
  }

  const std::string& text_;
  const std::string& origin_;
  size_t place_ = 0;
  int64_t line_ = 1;
};

}  // namespace

std::optional<size_t> CsvTable::column(std::string_view name) const {
  const auto found = std::find(header.begin(), header.end(), name);
  if (found == header.end()) return std::nullopt;
  return static_cast<size_t>(found - header.begin());
}

CsvTable parse_csv(std::string_view bytes, const std::string& origin) {
  const std::string text = text_from_bytes(bytes, origin).text + '\n';  // every cell has something behind it
  CsvReader reader(text, origin);
  CsvTable table;
  CsvRow row;
  if (!reader.next(row)) fail(ErrorKind::kBadFile, "data: {}: empty, expected a line that names the columns", origin);
  table.header = row.cells;
  std::set<std::string_view> names;
  for (const std::string& name : table.header)
    if (!name.empty() && !names.insert(name).second)
      fail(ErrorKind::kBadFile, "data: {}:{}: two columns are named \"{}\"", origin, row.line, name);
  while (reader.next(row)) {
    if (row.cells.size() != table.header.size())
      fail(ErrorKind::kBadFile,
           "data: {}:{}: {} cells, expected {} as the first line has; quote cells that hold commas", origin, row.line,
           row.cells.size(), table.header.size());
    table.rows.push_back(row);
  }
  return table;
}

}  // namespace vernier
