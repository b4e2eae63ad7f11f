#pragma once

// --group-sizes: how often each group occurs where the model was trained, which the data at hand need not say: test sets
// are often balanced.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "vernier/group_chain.h"

namespace vernier {

using GroupSizes = std::map<std::string, int64_t, std::less<>>;

/// {"airplane": 5000, ...}, or such an object under "train_counts". Empty for an empty path.
/// @throws Error{kIo}; Error{kBadFile} for anything but counts
GroupSizes read_group_sizes(const std::string& path);

/// Sizes of the groups that are named; without any the records are left as they are.
void set_sizes(std::vector<ChainRecord>& records, const GroupSizes& sizes);

}  // namespace vernier
