#include "base/fail.h"
#include "base/output_file.h"
#include "data/class_names.h"
#include "data/csv.h"
#include "data/image_set.h"

namespace vernier {

namespace fs = std::filesystem;

namespace {

size_t required_column(const CsvTable& table, const char* name, const std::string& origin) {
  const auto column = table.column(name);
  if (!column)
    fail(ErrorKind::kBadFile, "data: {}: no column is named \"{}\"; expected path,label and one column per attribute",
         origin, name);
  return *column;
}

void require_image(const fs::path& image, const std::string& where) {
  std::error_code code;
  if (fs::is_regular_file(image, code)) return;
  fail(ErrorKind::kBadFile, "data: {}: image {} {}; paths are relative to the manifest's folder", where, image.string(),
       fs::exists(image, code) ? "is no file" : "does not exist");
}

}  // namespace

LabelledImages read_manifest(const fs::path& path, const std::vector<std::string>& classes) {
  return parse_manifest(read_file(path), path.string(), path.parent_path(), classes);
}

LabelledImages parse_manifest(std::string_view text, const std::string& origin, const fs::path& folder,
                              const std::vector<std::string>& classes) {
  const CsvTable table = parse_csv(text, origin);
  const size_t path_column = required_column(table, "path", origin);
  const size_t label_column = required_column(table, "label", origin);
  if (table.rows.empty()) fail(ErrorKind::kBadFile, "data: {}: no line names an image", origin);
  LabelledImages set;
  set.name = fs::path(origin).filename().string();
  std::vector<size_t> group_columns;  // not those without a name, as pandas writes its index
  for (size_t i = 0; i < table.header.size(); ++i)
    if (i != path_column && i != label_column && !table.header[i].empty()) {
      group_columns.push_back(i);
      set.attributes.push_back(table.header[i]);
    }
  set.classes = classes;
  if (classes.empty()) {
    std::vector<std::string> labels;
    for (const CsvRow& row : table.rows) labels.push_back(row.cells[label_column]);
    set.classes = classes_of(labels, origin);
  }
  for (const CsvRow& row : table.rows) {
    const std::string where = fmt::format("{}:{}", origin, row.line);
    for (const size_t column : {path_column, label_column})
      if (row.cells[column].empty()) fail(ErrorKind::kBadFile, "data: {}: {} is empty", where, table.header[column]);
    LabelledImage image{
        folder / row.cells[path_column], class_index(row.cells[label_column], set.classes, where), {}, row.line};
    require_image(image.path, where);
    for (const size_t column : group_columns) image.groups.push_back(row.cells[column]);
    set.images.push_back(std::move(image));
  }
  finish_image_set(set, origin);
  return set;
}

}  // namespace vernier
