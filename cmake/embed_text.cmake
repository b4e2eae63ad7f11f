# cmake -DTEXT=file -DOUT=x.cpp -DDECLARES=header -DFUNCTION=name -P embed_text.cmake: a text file as a function that
# returns it. Pieces keep below the length compilers must accept; adjacent literals join.
file(READ "${TEXT}" text)
set(delimiter "vernier_text")
string(FIND "${text}" ")${delimiter}\"" clash)
if(text STREQUAL "" OR NOT clash EQUAL -1)
  message(FATAL_ERROR "embed: ${TEXT} is empty or holds )${delimiter}\"")
endif()
file(WRITE "${OUT}" "#include \"${DECLARES}\"

namespace vernier {

std::string_view ${FUNCTION}() {
  static constexpr char kText[] = R\"${delimiter}(")
file(APPEND "${OUT}" "${text}")
file(APPEND "${OUT}" ")${delimiter}\";
  return {kText, sizeof(kText) - 1};
}

}  // namespace vernier
")
