#pragma once

// Short texts inside the program, for runs that name none: excerpts of LibreOffice help in ten languages and of
// Python's standard library (data/NOTICE.md), from documents that do not overlap. Made from data/builtin by
// cmake/embed_text.cmake.

#include <string_view>

namespace vernier {

std::string_view builtin_calibration_text();  ///< plain text
std::string_view builtin_evaluation_text();   ///< plain text
std::string_view builtin_groups_text();       ///< JSON lines {doc, group, text}

}  // namespace vernier
