#include "vernier/report.h"

#include "base/fail.h"
#include "base/json.h"
#include "base/output_file.h"
#include "report/page.h"

namespace vernier {

namespace {
// "<" occurs in JSON only inside strings, where \u003c means the same: neither "</script" nor "<!--" can then appear.
std::string escape_for_script(const std::string& json) {
  std::string out;
  out.reserve(json.size() + json.size() / 64);
  for (const char c : json) {
    if (c == '<')
      out += "\\u003c";
    else
      out += c;
  }
  return out;
}
}  // namespace

std::string render_report(const nlohmann::ordered_json& data) {
  if (!data.is_object())
    fail(ErrorKind::kInvalidArgument, "report: expected a JSON object, got {}; pass what report.json holds",
         data.type_name());
  const std::string_view page = report_page();
  const size_t at = page.find(kReportPlaceholder);
  if (at == std::string_view::npos || page.find(kReportPlaceholder, at + 1) != std::string_view::npos)
    fail(ErrorKind::kInternal, "report: the embedded page must hold {} once; rebuild it", kReportPlaceholder);
  std::string out(page.substr(0, at));
  out += escape_for_script(data.dump(-1, ' ', false, Json::error_handler_t::replace));
  out += page.substr(at + kReportPlaceholder.size());
  return out;
}

void write_report(const std::filesystem::path& path, const nlohmann::ordered_json& data) {
  write_file(path, render_report(data));
}

bool report_has_charts() { return report_page().find("id=\"fallback\"") == std::string_view::npos; }

}  // namespace vernier
