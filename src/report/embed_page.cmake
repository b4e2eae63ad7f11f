# cmake -DPAGE=x.html -DOUT=page.cpp -P embed_page.cmake: the page as one raw string literal.
file(READ "${PAGE}" page)
set(delimiter "vernier_page")
string(FIND "${page}" ")${delimiter}\"" clash)
if(page STREQUAL "" OR NOT clash EQUAL -1)
  message(FATAL_ERROR "report: ${PAGE} is empty or holds )${delimiter}\"")
endif()
file(WRITE "${OUT}" "#include \"report/page.h\"

namespace vernier {

std::string_view report_page() {
  static constexpr char kPage[] = R\"${delimiter}(")
file(APPEND "${OUT}" "${page}")
file(APPEND "${OUT}" ")${delimiter}\";
  return {kPage, sizeof(kPage) - 1};
}

}  // namespace vernier
")
