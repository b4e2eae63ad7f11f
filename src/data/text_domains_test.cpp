#include "data/text_domains.h"

#include <gtest/gtest.h>

#include "data/builtin_texts.h"

namespace vernier {
namespace {

std::vector<std::string> names_of(const std::vector<DomainFiles>& domains) {
  std::vector<std::string> names;
  for (const DomainFiles& domain : domains) names.push_back(domain.name);
  return names;
}

TEST(TextDomains, AFileIsADomainAndANameJoinsSeveral) {
  const std::vector<DomainFiles> domains =
      domains_of({"dir/wiki.v2.txt", "code=a.py", "other/wiki.v2.txt", "code=b.py", "c.txt"});
  EXPECT_EQ(names_of(domains), (std::vector<std::string>{"wiki_v2", "code", "wiki_v2 2", "c"}));
  EXPECT_EQ(domains[1].files, (std::vector<std::string>{"a.py", "b.py"}));
  EXPECT_EQ(domains[2].files, (std::vector<std::string>{"other/wiki.v2.txt"}));
}

TEST(TextDomains, BuiltInTextsAreAMix) {
  const std::span<const BuiltinText> texts = builtin_calibration_texts();
  ASSERT_EQ(texts.size(), 5u);
  for (const BuiltinText& text : texts) {
    EXPECT_GT(text.text.size(), 8000u) << text.name;  // four windows of 512 tokens, of four bytes or so each
    for (const BuiltinText& other : texts) EXPECT_TRUE(&text == &other || text.text != other.text) << text.name;
  }
}

TEST(TextDomains, WindowsOfSeveralTextsAreThoseOfOne) {
  EvaluationData a, b;
  a.name = "a", a.hash = "1", a.context = 8;
  b.name = "b", b.hash = "2", b.context = 4;
  Cluster copy, of_x;
  copy.same_as = 0;
  of_x.group = "x";
  a.windows = {{{1, 2}, 0, 0}, {{3, 4}, 0, 1}};
  a.clusters = {{}, copy};
  b.windows = {{{5, 6}, 0, 0}, {{7, 8}, 0, 1}};
  b.clusters = {of_x, copy};
  const EvaluationData joined = joined_windows({a, b});
  EXPECT_EQ(joined.name, "a + b");
  EXPECT_EQ(joined.context, 8);
  ASSERT_EQ(joined.windows.size(), 4u);
  EXPECT_EQ(joined.windows[2].tokens, (std::vector<int32_t>{5, 6}));
  EXPECT_EQ(joined.distinct_cluster(joined.windows[1]), 0);
  EXPECT_EQ(joined.distinct_cluster(joined.windows[2]), 2);
  EXPECT_EQ(joined.distinct_cluster(joined.windows[3]), 2) << "a copy within the second text";
  EXPECT_EQ(joined.clusters[2].group, "x");
  EXPECT_NE(joined.hash, joined_windows({b, a}).hash);
  EXPECT_EQ(joined_windows({a}).hash, a.hash);
}

TEST(TextDomains, WindowsAreSharedEvenly) {
  EXPECT_EQ(windows_per_domain(16, 1), 16);
  EXPECT_EQ(windows_per_domain(16, 5), 4);
  EXPECT_EQ(windows_per_domain(4, 5), 2) << "a standard error takes two";
  EXPECT_EQ(windows_per_domain(1, 1), 1);
  EXPECT_EQ(windows_per_domain(0, 5), 0) << "all";
}

}  // namespace
}  // namespace vernier
