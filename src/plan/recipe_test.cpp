#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/golden.h"
#include "support/sample_plan.h"
#include "vernier/error.h"
#include "vernier/scheme.h"

namespace vernier {
namespace {

TEST(Recipe, TextIsTheReviewedOne) { expect_golden("plan/recipe.txt", recipe_text(sample_plan())); }

TEST(Recipe, ReadsBackWhatWasWritten) {
  const Plan plan = sample_plan();
  const Recipe recipe = parse_recipe(recipe_text(plan), "recipe.txt");
  ASSERT_EQ(recipe.rules().size(), plan.entries.size());
  for (size_t i = 0; i < plan.entries.size(); ++i) {
    EXPECT_EQ(recipe.find(plan.entries[i].tensor), i);
    EXPECT_EQ(recipe.rules()[i].scheme, plan.entries[i].scheme);
    EXPECT_EQ(recipe.rules()[i].reason, plan.entries[i].reason);
  }
  EXPECT_EQ(recipe.find("blk.0.attn_q.weight.more"), std::nullopt) << "patterns are anchored";
  EXPECT_EQ(recipe.find("blk_0_attn_q_weight"), std::nullopt) << "dots are escaped";
}

// What stands in a file beside its tensors must not depend on what is chosen, or a budget would.
TEST(Recipe, WhatAFileCarriesIsAsLongWhateverIsChosen) {
  Plan plan = sample_plan();
  const std::string carried = carried_recipe(plan);
  EXPECT_THAT(carried, testing::Not(testing::HasSubstr(plan.entries[0].reason)));
  const Recipe recipe = parse_recipe(carried, "carried");
  ASSERT_EQ(recipe.rules().size(), plan.entries.size());
  for (size_t i = 0; i < plan.entries.size(); ++i) {
    EXPECT_EQ(recipe.find(plan.entries[i].tensor), i);
    EXPECT_EQ(recipe.rules()[i].scheme, plan.entries[i].scheme);
  }
  for (const std::string& scheme : gguf_scheme_names()) {
    for (PlanEntry& entry : plan.entries) entry.scheme = scheme;
    EXPECT_EQ(carried_recipe(plan).size(), carried.size()) << scheme;
  }
  for (const char* method : {"auto", "smoothquant"}) {
    plan.method = method;
    EXPECT_EQ(carried_recipe(plan).size(), carried.size()) << method;
  }
  plan.provenance["fine_tuned"] = true;
  EXPECT_EQ(carried_recipe(plan).size(), carried.size());
}

TEST(Recipe, AnyNameSurvives) {
  Plan plan;
  for (const char* name : {"a b = c # d", "(x|y)*+?{2}[^]$", "back\\slash/", "größe", "-dash,:;<>!@&~`'\"", "#", "="})
    plan.entries.push_back({.tensor = name, .scheme = "int4:g128:sym", .reason = "line one\nline = two"});
  const Recipe recipe = parse_recipe(recipe_text(plan), "recipe.txt");
  ASSERT_EQ(recipe.rules().size(), plan.entries.size());
  for (size_t i = 0; i < plan.entries.size(); ++i) {
    EXPECT_EQ(recipe.find(plan.entries[i].tensor), i) << plan.entries[i].tensor;
    EXPECT_EQ(recipe.rules()[i].scheme, "int4:g128:sym");
    EXPECT_EQ(recipe.rules()[i].reason, "line one line = two");
  }
}

TEST(Recipe, FirstMatchWinsAndPatternsAreSearched) {
  const Recipe recipe = parse_recipe(
      "# a comment\r\n\n"
      "  ffn_down   =  gguf:q6_k   # keeps the sums\n"
      "^blk\\.(?=0)\\d = f16 # look-ahead\n"
      "#no blank needed at the start\n"
      ". = gguf:q4_k",
      "mine.txt");
  ASSERT_EQ(recipe.rules().size(), 3u);
  EXPECT_EQ(recipe.find("blk.0.ffn_down.weight"), 0u);
  EXPECT_EQ(recipe.find("blk.0.attn_q.weight"), 1u);
  EXPECT_EQ(recipe.find("blk.1.attn_q.weight"), 2u);
  EXPECT_EQ(recipe.rules()[0].reason, "keeps the sums");
  EXPECT_EQ(recipe.rules()[0].line, 3);
  EXPECT_EQ(recipe.rules()[2].line, 6);
  EXPECT_EQ(parse_recipe("", "empty").find("x"), std::nullopt);
}

// By its own name and by a target's: a pattern may be written in either, and one that leaves something out by one name
// must not catch it by the other.
TEST(Recipe, TensorsGoByTheirNamesInEveryNaming) {
  const std::vector<std::vector<std::string>> names = {{"embed", "token_embd.weight"},
                                                       {"L0.attn_q", "blk.0.attn_q.weight"},
                                                       {"L1.attn_q", "blk.1.attn_q.weight"},
                                                       {"lm_head", "output.weight"}};
  const auto matched = [&](const std::string& pattern) {
    std::string found;
    for (const auto& rule : parse_recipe(pattern + " = f16", "r").find_all(names)) found += rule ? '1' : '0';
    return found;
  };
  for (const auto& [pattern, expected] :
       std::vector<std::pair<std::string, std::string>>{{"^embed$", "1000"},
                                                        {"^token_embd\\.weight$", "1000"},
                                                        {"attn_q$", "0110"},
                                                        {"attn_q.weight", "0110"},
                                                        {"^(lm_head|blk.0.*)$", "0101"},
                                                        {".*", "1111"},
                                                        {"^(?!blk\\.0\\.)", "1011"},
                                                        {"^(?!L0\\.)", "1011"},
                                                        {"^blk\\.(?!0\\.)", "0010"},
                                                        {"^(?!output\\.)", "1110"},
                                                        {"^blk\\.[^0]\\.", "0010"},
                                                        {"^L[^0]", "0010"},
                                                        {"(?!x)nothing", "0000"}})
    EXPECT_EQ(matched(pattern), expected) << pattern;
  EXPECT_THAT(parse_recipe("^L0 = f16\n^blk = f16", "r").find_all(names),
              ::testing::ElementsAre(std::nullopt, 0u, 1u, std::nullopt));
}

TEST(Recipe, FilesOfWindowsAreRead) {
  const Recipe recipe = parse_recipe("\xEF\xBB\xBF^blk = f16\r\n. = gguf:q4_k # all else\r\n", "mine.txt");
  ASSERT_EQ(recipe.rules().size(), 2u);
  EXPECT_EQ(recipe.find("blk.0.ffn_down.weight"), 0u);
  EXPECT_EQ(recipe.rules()[0].scheme, "f16");
  EXPECT_EQ(recipe.rules()[1].reason, "all else");
  try {
    parse_recipe("\xFF\xFE. = f16", "mine.txt");
    ADD_FAILURE() << "read UTF-16";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kBadFile);
    EXPECT_THAT(e.what(), ::testing::AllOf(::testing::HasSubstr("mine.txt"), ::testing::HasSubstr("UTF-16")));
  }
}

TEST(Recipe, ErrorsNameTheLine) {
  for (const std::string& line :
       {std::string("no equals sign"), std::string("= f16"), std::string("a ="), std::string("a = # reason only"),
        std::string("(a = f16"), std::string("a = f16 because"), std::string("a\x01 = f16"),
        std::string(2000, 'a') + " = f16", std::string(9000, '#'), "((a{1000}){1000}){1000} = f16" + std::string(),
        std::string(500, '(') + std::string(500, ')') + " = f16"}) {
    try {
      parse_recipe("ok = f16\n" + line + "\n", "mine.txt");
      ADD_FAILURE() << "accepted " << line.substr(0, 60);
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::kBadFile);
      EXPECT_THAT(e.what(), testing::HasSubstr("mine.txt:2"));
    }
  }
}

TEST(Recipe, EndlessBacktrackingIsAnErrorNotAHang) {
  const Recipe recipe = parse_recipe("\n(a+)+(b+)+$c = f16\n((a|aa)+)+$ = f16", "mine.txt");
  try {
    recipe.find(std::string(200, 'a') + "!");
    ADD_FAILURE() << "matched";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kBadFile);
    EXPECT_THAT(e.what(), testing::HasSubstr("mine.txt:3"));
  }
}

}  // namespace
}  // namespace vernier
