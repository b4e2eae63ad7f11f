#include "evaluate/same_classes.h"

#include <fmt/format.h>

#include <string>
#include <vector>

#include "base/fail.h"
#include "vernier/classify.h"

namespace vernier {

namespace {

/// Where config.json names classes by themselves alone, as transformers does for who names none: nothing.
std::vector<std::string> telling_names(const Model& model) {
  const std::vector<std::string> names = class_names_of(model);
  for (size_t i = 0; i < names.size(); ++i)
    if (names[i] != fmt::format("LABEL_{}", i)) return names;
  return {};
}

}  // namespace

void require_same_classes(std::string_view stage, const Model& model, const Model& reference) {
  const std::vector<std::string> own = telling_names(model), others = telling_names(reference);
  if (own.empty() || others.empty() || own == others) return;
  size_t i = 0;
  while (i < own.size() && i < others.size() && own[i] == others[i]) ++i;
  const auto name_in = [&](const std::vector<std::string>& names) {
    return i < names.size() ? fmt::format("\"{}\"", names[i]) : "missing";
  };
  fail(ErrorKind::kInvalidArgument,
       "{}: class {} is {} in {} and {} in {}; expected models whose config.json has the same id2label", stage, i,
       name_in(own), model.source().name, name_in(others), reference.source().name);
}

}  // namespace vernier
