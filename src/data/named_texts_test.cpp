#include "data/named_texts.h"

#include <gtest/gtest.h>

#include "base/output_file.h"
#include "support/scratch.h"

namespace vernier {
namespace {

TEST(NamedTexts, JsonLinesAreTheTextsInThem) {
  const std::filesystem::path lines = scratch_path("named_texts.jsonl"), code = scratch_path("named_texts.json");
  write_file(lines, "{\"text\": \"One \\u00e9.\", \"group\": \"a\"}\n{\"text\": \"Two\\nlines.\", \"group\": \"b\"}\n");
  write_file(code, "{\"width\": 3}\n");
  EXPECT_EQ(joined_text({lines.string(), code.string()}, nullptr).text, "One \u00e9.\nTwo\nlines.\n{\"width\": 3}\n");
  std::filesystem::remove(lines);
  std::filesystem::remove(code);
}

}  // namespace
}  // namespace vernier
