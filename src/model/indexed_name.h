#pragma once

// Names with a stack, a layer and an expert in them: "L3.expert2.ffn_up", "image.L3.ffn_up". One reader for tensors, sites and components.

#include <optional>
#include <string>
#include <string_view>

#include "vernier/stack.h"

namespace vernier {

struct IndexedName {
  Stack stack = Stack::kOnly;
  int layer = -1;
  int expert = -1;
  std::string_view part;  ///< what comes after the indices; empty for "L3" and "L3.expert2"
};

/// Without leading zeros or signs, at most nine digits.
std::optional<int> parse_index(std::string_view text);

/// Nothing where an index cannot be read.
std::optional<IndexedName> split_name(std::string_view name);

/// `part` after its stack and its indices, each where there is one.
std::string join_name(Stack stack, int layer, int expert, std::string_view part);

}  // namespace vernier
