#include "export/target_table.h"

#include <algorithm>

#include "base/fail.h"

namespace vernier {

const std::vector<Target>& targets() {
  static const std::vector<Target> kRows = {llama_cpp_target(), hugging_face_target()};
  return kRows;
}

const Target& find_target(const std::string& name) {
  const std::vector<Target>& rows = targets();
  const auto row = std::find_if(rows.begin(), rows.end(), [&](const Target& t) { return t.name == name; });
  if (row != rows.end()) return *row;
  std::string known;
  for (const Target& t : rows) known += fmt::format("{}{} ({})", known.empty() ? "" : ", ", t.name, t.about);
  if (name == "vllm") fail(ErrorKind::kUnsupported, "target vllm is planned but not built yet; use one of {}", known);
  fail(ErrorKind::kInvalidArgument, "unknown target \"{}\"; expected one of {}", name.substr(0, 40), known);
}

}  // namespace vernier
