#include "quantize/value_search_table.h"

#include <algorithm>

#include "base/fail.h"

namespace vernier {

const std::vector<ValueSearch>& value_searches() {
  static const std::vector<ValueSearch> kRows = {importance_search(),  nearest_search(),    auto_search(),
                                                 gptq_search(),        coordinate_search(), awq_search(),
                                                 smoothquant_search(), learned_search()};
  return kRows;
}

const ValueSearch& find_value_search(const std::string& name) {
  const std::vector<ValueSearch>& rows = value_searches();
  const auto row = std::find_if(rows.begin(), rows.end(), [&](const ValueSearch& r) { return r.name == name; });
  if (row != rows.end()) return *row;
  std::string known;
  for (const ValueSearch& r : rows) known += fmt::format("{}{} ({})", known.empty() ? "" : ", ", r.name, r.about);
  fail(ErrorKind::kInvalidArgument, "quantize: unknown method \"{}\"; expected one of {}", name.substr(0, 40), known);
}

}  // namespace vernier
