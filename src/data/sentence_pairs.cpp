#include "base/fail.h"
#include "base/output_file.h"
#include "data/csv.h"
#include "vernier/choices.h"

namespace vernier {

std::vector<SentencePair> read_sentence_pairs(const std::filesystem::path& path) {
  return parse_sentence_pairs(read_file(path), path.string());
}

std::vector<SentencePair> parse_sentence_pairs(std::string_view text, const std::string& origin) {
  const CsvTable table = parse_csv(text, origin);
  const auto required = [&](const char* name) {
    const auto column = table.column(name);
    if (!column)
      fail(ErrorKind::kBadFile, "data: {}: no column is named \"{}\"; expected sent_more, sent_less, bias_type", origin,
           name);
    return *column;
  };
  const size_t more = required("sent_more"), less = required("sent_less"), group = required("bias_type");
  const auto direction = table.column("stereo_antistereo");
  std::vector<SentencePair> pairs;
  for (const CsvRow& row : table.rows) {
    for (const size_t column : {more, less, group})
      if (row.cells[column].empty())
        fail(ErrorKind::kBadFile, "data: {}:{}: {} is empty", origin, row.line, table.header[column]);
    if (row.cells[more] == row.cells[less])
      fail(ErrorKind::kBadFile, "data: {}:{}: both sentences are \"{}\"", origin, row.line, row.cells[more]);
    if (direction && row.cells[*direction] != "stereo" && row.cells[*direction] != "antistereo")
      fail(ErrorKind::kBadFile, "data: {}:{}: stereo_antistereo is \"{}\", expected stereo or antistereo", origin,
           row.line, row.cells[*direction]);
    pairs.push_back({row.cells[more], row.cells[less], !direction || row.cells[*direction] == "stereo",
                     row.cells[group], row.line});
  }
  if (pairs.empty()) fail(ErrorKind::kBadFile, "data: {}: no pairs", origin);
  return pairs;
}

}  // namespace vernier
