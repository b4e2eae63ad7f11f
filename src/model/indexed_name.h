#pragma once

// Names with a layer and an expert in them: "L3.expert2.ffn_up". One reader for tensors, sites and components.

#include <optional>
#include <string>
#include <string_view>

namespace vernier {

struct IndexedName {
  int layer = -1;
  int expert = -1;
  std::string_view part;  ///< what comes after the indices; empty for "L3" and "L3.expert2"
};

/// Without leading zeros or signs, at most nine digits.
std::optional<int> parse_index(std::string_view text);

/// Nothing where an index cannot be read.
std::optional<IndexedName> split_name(std::string_view name);

/// `part` after its indices, each where it is not negative.
std::string join_name(int layer, int expert, std::string_view part);

}  // namespace vernier
