#include "data/grouped_texts.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "base/output_file.h"
#include "support/expect_error.h"
#include "support/scratch.h"
#include "support/small_tokenizer.h"

namespace vernier {
namespace {

class GroupedTexts : public ::testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string file(const std::string& name, const std::string& text) const {
    write_file(folder_ / name, text);
    return (folder_ / name).string();
  }
  EvaluationData windows(const std::vector<std::string>& files, int64_t count) const {
    return grouped_diagnosis_windows(tokenizer_, files, 16, count, nullptr);
  }
  static std::map<std::string, int64_t> by_group(const EvaluationData& data) {
    std::map<std::string, int64_t> counts;
    for (const TokenWindow& w : data.windows) ++counts[data.clusters[static_cast<size_t>(w.cluster)].group];
    return counts;
  }
  static std::string prose(int lines) {
    std::string text;
    for (int i = 0; i < lines; ++i) text += "the quick brown fox " + std::to_string(i) + " jumps\n";
    return text;
  }

  const std::filesystem::path folder_ = scratch_path("grouped_texts");
  const Tokenizer tokenizer_{small_tokenizer()};
};

TEST_F(GroupedTexts, DocumentsAreBalancedAndHaveTwoWindowsEachAtLeast) {
  std::string lines;
  for (int i = 0; i < 30; ++i)
    lines += R"({"text": "the quick brown fox jumps )" + std::to_string(i) + R"(", "group": ")" +
             (i < 24   ? "de"
              : i < 29 ? "fr"
                       : "fi") +
             "\"}\n";
  const std::string documents = file("documents.jsonl", lines);
  EXPECT_EQ(by_group(windows({documents}, 2)), (std::map<std::string, int64_t>{{"de", 2}, {"fr", 2}, {"fi", 2}}));
  const auto counts = by_group(windows({documents}, 12));
  EXPECT_EQ(counts.at("de"), counts.at("fr"));
}

TEST_F(GroupedTexts, NamedTextsAreGroupsAndOthersAreOneText) {
  const std::string a = file("a.txt", prose(40)), b = file("b.txt", prose(60));
  EXPECT_EQ(by_group(windows({"prose=" + a, "more=" + b}, 6)),
            (std::map<std::string, int64_t>{{"prose", 3}, {"more", 3}}));
  const EvaluationData joined = windows({a, b}, 6);
  EXPECT_EQ(by_group(joined), (std::map<std::string, int64_t>{{"", 6}}));
  EXPECT_EQ(joined.name, "a.txt + b.txt");
  expect_error(ErrorKind::kInvalidArgument, {"groups of their own"}, [&] { windows({a, "x.jsonl"}, 6); });
}

}  // namespace
}  // namespace vernier
