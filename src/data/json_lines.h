#pragma once

// Files of one JSON object per line.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/json.h"

namespace vernier {

/// Calls `visit` with each object, where it stands ("g.jsonl:3") and its line from 1. Empty lines are skipped; the text may
/// have a byte-order mark and line ends of Windows. @throws Error{kBadFile} naming the line, and what `visit` throws
void for_each_json_line(std::string_view bytes, const std::string& file,
                        const std::function<void(const Json&, const std::string& origin, int64_t line)>& visit);

/// A value that names a group, as a person would write it: a string, an integer or a boolean. Not fractions: 1.0 and 1
/// would be two groups. @throws Error{kBadFile} for others and where it is missing
std::string group_value(const Json& json, const char* key, const std::string& origin);

}  // namespace vernier
