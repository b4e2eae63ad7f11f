#include "vernier/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/json.h"
#include "base/output_file.h"
#include "report/page.h"
#include "support/expect_error.h"
#include "support/scratch.h"

namespace vernier {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view kOpen = "<script type=\"application/json\" id=\"report-data\">";

size_t occurrences(std::string_view text, std::string_view needle) {
  size_t n = 0;
  for (size_t at = text.find(needle); at != std::string_view::npos; at = text.find(needle, at + needle.size())) ++n;
  return n;
}

/// What the browser takes as the data: from the element's opening tag to the first "</script".
std::string data_element(const std::string& html) {
  const size_t begin = html.find(kOpen) + kOpen.size();
  const std::string element = html.substr(begin, html.find("</script", begin) - begin);
  // The page may put the data on a line of its own.
  const size_t first = element.find_first_not_of(" \n"), last = element.find_last_not_of(" \n");
  return element.substr(first, last - first + 1);
}

Json sample() { return read_json(fs::path(VERNIER_SOURCE_DIR) / "web" / "sample" / "report.json"); }

TEST(Report, TheEmbeddedPageIsWhole) {
  const std::string page(report_page());
  EXPECT_EQ(occurrences(page, kReportPlaceholder), 1u);
  EXPECT_EQ(occurrences(page, kOpen), 1u);
  EXPECT_THAT(page, HasSubstr("<!doctype html>"));
  EXPECT_TRUE(page.ends_with("</html>\n") || page.ends_with("</html>"));
}

TEST(Report, ThePageLoadsNothing) {
  const std::string page(report_page());
  for (const char* reference : {"src=\"http", "href=\"http", "src=\"/", "href=\"/", "src=\"./", "href=\"./", "@import"})
    EXPECT_THAT(page, Not(HasSubstr(reference)));
  EXPECT_THAT(page, HasSubstr("default-src 'none'")) << "the browser is told to refuse any request";
}

TEST(Report, TheDataComesBackAsItWentIn) {
  const Json data = sample();
  const std::string html = render_report(data);
  EXPECT_EQ(parse_json(data_element(html), "report"), data);
  EXPECT_EQ(occurrences(html, kReportPlaceholder), 0u);
}

TEST(Report, HostileStringsStayInsideTheElement) {
  for (const std::string& text :
       {std::string("</script><script>alert(1)</script>"), std::string("<!--<script>"), std::string("</SCRIPT\n>"),
        std::string(kReportPlaceholder), std::string("\"\\\u2028$&"), std::string("]]>")}) {
    const Json data = {{"title", text}, {text, 1}};
    const std::string html = render_report(data);
    const std::string element = data_element(html);
    EXPECT_THAT(element, Not(HasSubstr("<")));
    EXPECT_EQ(parse_json(element, "report"), data) << text;
    // The rest of the page is untouched, whatever the data holds.
    EXPECT_EQ(html.size(), report_page().size() - kReportPlaceholder.size() + element.size());
  }
}

TEST(Report, ThePlaceholderInTheDataIsData) {
  const std::string html = render_report(Json{{"title", kReportPlaceholder}});
  EXPECT_EQ(data_element(html), "{\"title\":\"__REPORT_DATA__\"}");
}

TEST(Report, BrokenUtf8AndNotANumberAreReadable) {
  const std::string element = data_element(render_report(Json{{"title", "a\xff z"}, {"kl_nats", std::nan("")}}));
  EXPECT_EQ(element, "{\"title\":\"a\xef\xbf\xbd z\",\"kl_nats\":null}");
}

TEST(Report, TheSameDataGivesTheSameBytes) { EXPECT_EQ(render_report(sample()), render_report(sample())); }

TEST(Report, OnlyAnObjectIsAReport) {
  for (const Json& data : {Json(), Json(3), Json("text"), Json::array()}) {
    expect_error(ErrorKind::kInvalidArgument, {"expected a JSON object", data.type_name()},
                 [&] { render_report(data); });
  }
}

TEST(Report, IsWrittenWholeOrNotAtAll) {
  const fs::path folder = scratch_path("vernier_report_test");
  fs::remove_all(folder);
  const fs::path path = folder / "out" / "report.html";
  write_report(path, sample());
  const std::string first = read_file(path);
  EXPECT_EQ(first, render_report(sample()));
  expect_error(ErrorKind::kInvalidArgument, {"expected a JSON object, got array"},
               [&] { write_report(path, Json::array()); });
  EXPECT_EQ(read_file(path), first) << "a refused report leaves the old one";
  fs::create_directories(folder / "taken");
  expect_error(ErrorKind::kIo, {(folder / "taken").string()}, [&] { write_report(folder / "taken", sample()); });
  fs::remove_all(folder);
}

}  // namespace
}  // namespace vernier
