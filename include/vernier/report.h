#pragma once

// The report page: one HTML file that holds its data, its charts and its code, and loads nothing from the network.
// In: report.json (schema_version 1; web/src/data.ts lists its fields). Out: report.html.
//
//   std::ifstream file("out/report.json");
//   vernier::write_report("out/report.html", nlohmann::ordered_json::parse(file));

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace vernier {

/// The whole page as text; the same data gives the same bytes. No string of `data` can end the script element that
/// holds it, and bytes that are not UTF-8 become U+FFFD.
/// @throws Error{kInvalidArgument} when `data` is not an object
std::string render_report(const nlohmann::ordered_json& data);

/// The page at `path`, whole or not at all; missing folders are made.
/// @throws Error{kInvalidArgument} as render_report, Error{kIo} when it cannot be written
void write_report(const std::filesystem::path& path, const nlohmann::ordered_json& data);

/// False in a build without VERNIER_BUILD_WEB, whose page shows the data as text and says how to build the charts.
bool report_has_charts();

}  // namespace vernier
