// `vernier groups` on every form of data that a language model takes, down to groups.json and its page.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/json.h"
#include "base/output_file.h"
#include "cli/cli.h"
#include "support/models.h"
#include "support/scratch.h"
#include "vernier/group_study.h"

namespace vernier {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class GroupsCli : public ::testing::Test {
 protected:
  fs::path work_ = scratch_path("vernier_groups_cli");
  std::string demo_ = (source_dir() / "models/demo-5m").string();
  void SetUp() override { fs::create_directories(work_); }
  void TearDown() override { fs::remove_all(work_); }
  std::string at(const std::string& name) const { return (work_ / name).string(); }
  std::string file(const std::string& name, const std::string& text) const {
    write_file(work_ / name, text);
    return at(name);
  }

  static int run(const std::vector<std::string>& arguments) {
    std::vector<const char*> argv{"vernier"};
    for (const std::string& a : arguments) argv.push_back(a.c_str());
    return run_cli(static_cast<int>(argv.size()), argv.data());
  }
  /// What the command prints, and its groups.json.
  std::pair<std::string, GroupStudy> groups(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"--quiet", "groups", demo_, "-o", at("groups.json")});
    ::testing::internal::CaptureStdout();
    EXPECT_EQ(run(arguments), 0);
    return {::testing::internal::GetCapturedStdout(),
            group_study_from_json(read_json(work_ / "groups.json"), "groups.json")};
  }
  void refused(std::vector<std::string> arguments, const std::string& said) const {
    arguments.insert(arguments.begin(), demo_);
    refused_by("groups", arguments, said);
  }
  static void refused_by(const char* command, std::vector<std::string> arguments, const std::string& said) {
    arguments.insert(arguments.begin(), command);
    ::testing::internal::CaptureStderr();
    EXPECT_NE(run(arguments), 0);
    EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr(said));
  }
};

TEST_F(GroupsCli, DocumentsAreMeasuredPerTokenByteAndDocument) {
  std::string lines;
  for (int i = 0; i < 6; ++i)
    for (const char* group : {"en", "de"})
      lines += fmt::format("{{\"text\": \"{} page {} of the book\", \"group\": \"{}\", \"doc\": {}}}\n",
                           std::string(group) == "en" ? "This is" : "Das ist", i, group, i);
  const auto [told, study] = groups({"--data", file("g.jsonl", lines), "--schemes", "int8:channel,int3:channel"});
  std::vector<std::string> entries;
  for (const GroupStudyEntry& entry : study.entries) entries.push_back(entry.label + " " + entry.unit);
  EXPECT_THAT(entries, ElementsAre("int8:channel token", "int8:channel byte", "int8:channel document",
                                   "int3:channel token", "int3:channel byte", "int3:channel document"));
  const GroupResult& english = study.entries[5].analysis.attributes.at(0).groups.at(1);
  EXPECT_EQ(english.name, "en");
  EXPECT_EQ(english.clusters, 6);
  EXPECT_GT(study.entries[3].analysis.all.figures.at("loss_nats").change.value,
            study.entries[0].analysis.all.figures.at("loss_nats").change.value);
  for (const char* part : {"int3:channel", "more than others", "verdict", "chain of causes over 2 groups"})
    EXPECT_THAT(told, HasSubstr(part));
  ::testing::internal::CaptureStdout();
  EXPECT_EQ(run({"report", at("groups.json")}), 0);
  EXPECT_THAT(::testing::internal::GetCapturedStdout(), HasSubstr("groups.html"));
  EXPECT_THAT(read_file(work_ / "groups.html"), HasSubstr("who_pays"));
  refused_by("report", {file("other.json", "{}")}, "other.json");
}

TEST_F(GroupsCli, TextsByNameQuestionsAndPairs) {
  std::string text;
  for (int i = 0; i < 200; ++i) text += fmt::format("Line {} of a text that is long enough.\n", i);
  const auto [texts, by_name] = groups({"--data", "one=" + file("a.txt", text), "two=" + file("b.txt", text + "End."),
                                        "--context", "32", "--windows", "6", "--schemes", "int4:channel"});
  EXPECT_EQ(by_name.entries.at(0).analysis.attributes.at(0).groups.at(1).name, "two");
  EXPECT_EQ(by_name.entries[0].analysis.examples, 12);

  const std::string question =
      R"({"question": "What melts?", "choices": {"text": ["ice", "rock"], "label": ["A", "B"]}, "answerKey": "A", "group": "things"})";
  const auto [asked, questions] =
      groups({"--data", file("q.jsonl", question + "\n" + question), "--shots", "1", "--schemes", "int4:channel"});
  EXPECT_EQ(questions.entries.at(0).unit, "question");
  EXPECT_THAT(asked, HasSubstr("accuracy %"));

  const auto [paired, pairs] =
      groups({"--data", file("p.csv", "sent_more,sent_less,bias_type\nOld men forget.,Young men forget.,age\n"),
              "--schemes", "int4:channel"});
  EXPECT_EQ(pairs.entries.at(0).analysis.attributes.at(0).name, "bias");
  EXPECT_THAT(paired, HasSubstr("stereotyping %"));
}

TEST_F(GroupsCli, TextsAndQuestionsAreOneStudy) {
  std::string text;
  for (int i = 0; i < 200; ++i) text += fmt::format("Line {} of a text that is long enough.\n", i);
  std::string questions;
  for (const char* group : {"things", "places"})
    questions += fmt::format(
        "{{\"question\": \"What melts?\", \"choices\": {{\"text\": [\"ice\", \"rock\"], \"label\": [\"A\", \"B\"]}}, "
        "\"answerKey\": \"A\", \"group\": \"{}\"}}\n",
        group);
  const std::string one = "one=" + file("a.txt", text), two = "two=" + file("b.txt", text + "End.");
  const std::string asked = file("q.jsonl", questions);
  const auto [told, study] = groups(
      {"--data", one, asked, two, "--context", "64", "--windows", "6", "--schemes", "int4:channel,int3:channel"});
  std::vector<std::string> entries;
  for (const GroupStudyEntry& entry : study.entries)
    entries.push_back(fmt::format("{} {} {}", entry.label, entry.unit, entry.analysis.data_name));
  EXPECT_THAT(entries, ElementsAre("int4:channel token a.txt + b.txt", "int4:channel question q.jsonl",
                                   "int3:channel token a.txt + b.txt", "int3:channel question q.jsonl"));
  const auto [alone, texts] =
      groups({"--data", one, two, "--context", "64", "--windows", "6", "--schemes", "int3:channel"});
  EXPECT_EQ(study.entries[2].analysis.all.figures.at("loss_nats").model,
            texts.entries.at(0).analysis.all.figures.at("loss_nats").model);
  EXPECT_EQ(study.entries[3].analysis.attributes.at(0).groups.size(), 2u);
  EXPECT_THAT(told, HasSubstr("int3:channel, 2 examples of q.jsonl, loss in nats per question"));
  refused({"--data", one, asked, "--schemes", "int3:channel", "--curvature", "2"}, "one form of --data at a time");
}

TEST_F(GroupsCli, AloneItOnlyMeasures) {
  const auto [told, study] = groups({"--data", file("g.jsonl", "{\"text\": \"A page.\", \"group\": \"en\"}\n")});
  EXPECT_TRUE(study.entries.at(0).chains.empty());
  EXPECT_THAT(told, ::testing::Not(HasSubstr("verdict")));
}

TEST_F(GroupsCli, SizesOfGroupsMayComeFromTraining) {
  std::string lines;
  for (int i = 0; i < 30; ++i)
    lines += fmt::format("{{\"text\": \"This is page {} of the book.\", \"group\": \"g{}\"}}\n", i * i, i % 6);
  const std::string documents = file("g.jsonl", lines);
  const auto [told, study] = groups({"--data", documents, "--schemes", "int3:channel", "--group-sizes",
                                     file("sizes.json", R"({"train_counts": {"g0": 500, "g5": 7}})")});
  std::vector<int64_t> sizes;
  for (const ChainRecord& record : study.entries.at(0).chains.at(0).records) sizes.push_back(record.examples);
  EXPECT_THAT(sizes, ElementsAre(500, 5, 5, 5, 5, 7));
  refused({"--data", documents, "--group-sizes", file("bad.json", R"({"g0": "many"})")}, "\"g0\"");
  refused({"--data", documents, "--group-sizes", file("list.json", "[1]")}, "expected an object of counts");
}

TEST_F(GroupsCli, WhatCannotBeIsSaid) {
  const std::string documents = file("g.jsonl", "{\"text\": \"A page.\", \"group\": \"en\"}\n");
  refused({"--data", file("bad.jsonl", "{\"text\": \"a\", \"group\": \"x\"}\n{\"text\": \"b\"}\n")}, "bad.jsonl:2");
  refused({"--data", at("absent.txt")}, "absent.txt");
  refused({"--data", documents, "--schemes", "int99"}, "int99");
  refused({"--data", documents, "--schemes", "int4:channel", "--method", "importance"}, "--calibration");
  refused({"--data", documents, "--tolerance", "loss_nats"}, "FIGURE=NUMBER");
  refused({"--data", documents, "--tolerance", "los=1"}, "\"los\"");
  refused({"--data", file("a.txt", "A short text."), "--filter", "a=b"}, "--filter");
  refused({"--data", documents, "--reference", demo_, "--schemes", "int4:channel"}, "--reference");
  for (const char* option : {"--curvature=4", "--activations=int8:token", "--tolerance=loss_nats=0.1"})
    refused({"--data", documents, option}, "of what is compared; name models with --schemes or --reference");
  refused({"--data", documents, "--reference", demo_, "--method", "nearest"}, "--method is of --schemes");
  refused({"--data", documents, "--schemes", "int4:channel", "--different-tokenizers"}, "of --reference");
}

}  // namespace
}  // namespace vernier
