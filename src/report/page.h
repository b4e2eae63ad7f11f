#pragma once

// The page without data, made at build time from web/ (or fallback.html) by cmake/embed_text.cmake.

#include <string_view>

namespace vernier {

/// Stands once in the page, where the data goes.
inline constexpr std::string_view kReportPlaceholder = "__REPORT_DATA__";

/// HTML, UTF-8.
std::string_view report_page();

}  // namespace vernier
