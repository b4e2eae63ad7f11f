#include "evaluate/same_classes.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/fail.h"
#include "vernier/classify.h"

namespace vernier {

std::vector<std::string> telling_class_names(const Model& model) {
  const std::vector<std::string> names = class_names_of(model);
  for (size_t i = 0; i < names.size(); ++i)
    if (names[i] != fmt::format("LABEL_{}", i)) return names;
  return {};
}

void require_same_classes(std::string_view stage, const Model& model, const Model& reference) {
  const std::vector<std::string> own = telling_class_names(model), others = telling_class_names(reference);
  for (size_t i = 0; i < own.size(); ++i) {
    const auto there = std::find(others.begin(), others.end(), own[i]);
    const auto place = static_cast<size_t>(there - others.begin());
    if (place == others.size() || place == i || (i < others.size() && others[i] == own[i])) continue;
    fail(ErrorKind::kInvalidArgument,
         "{}: \"{}\" is class {} in {} and class {} in {}; expected models whose config.json has id2label in one order",
         stage, own[i], i, model.source().name, place, reference.source().name);
  }
}

}  // namespace vernier
