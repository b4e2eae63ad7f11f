#pragma once

// Labels as people write them: by the name of a class, or by its index.

#include <cstdint>
#include <string>
#include <vector>

namespace vernier {

/// The classes that `labels` name where nobody else does: the different names, sorted; 0 to the greatest where all labels
/// are integers. @throws Error{kBadFile} for an index of a million or more
std::vector<std::string> classes_of(const std::vector<std::string>& labels, const std::string& origin);

/// Index of a class. @throws Error{kBadFile} naming `origin`, the label and what it could have been
int32_t class_index(const std::string& label, const std::vector<std::string>& classes, const std::string& origin);

}  // namespace vernier
