#include "vernier/prompts.h"

#include "support/expect_error.h"

namespace vernier {
namespace {

using ::testing::ElementsAre;

TEST(Prompts, KnownOnesByName) {
  EXPECT_THAT(prompts_of(prompt_templates("single"), "cat"), ElementsAre("a photo of a cat."));
  const auto prompts = prompts_of(prompt_templates("best-7"), "sea lion");
  ASSERT_EQ(prompts.size(), 7u);
  EXPECT_EQ(prompts[4], "a sea lion in a video game.");
}

TEST(Prompts, OfAFile) {
  const PromptTemplates templates = parse_prompt_templates("# two\r\na {}\r\n\r\nthe {class}, again", "p.txt");
  EXPECT_THAT(prompts_of(templates, "{dog}"), ElementsAre("a {dog}", "the {dog}, again"));
  for (const char* bad : {"a cat", "a {} and a {}", "a {x} {}", "a {", "}{}"})
    expect_error(ErrorKind::kBadFile, {"p.txt:2", "once"},
                 [&] { parse_prompt_templates("a {}\n" + std::string(bad) + "\n", "p.txt"); });
  expect_error(ErrorKind::kBadFile, {"no templates"}, [] { parse_prompt_templates("#\n", "p.txt"); });
  expect_error(ErrorKind::kInvalidArgument, {"best-8", "single"}, [] { prompt_templates("best-8"); });
}

}  // namespace
}  // namespace vernier
