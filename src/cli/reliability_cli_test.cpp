// evaluate --reliability on the command line: tables, artefact, page, refusals.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "base/output_file.h"
#include "cli/cli.h"
#include "support/classifier_folder.h"

namespace vernier {
namespace {

using ::testing::HasSubstr;

int run_line(const std::vector<std::string>& arguments) {
  std::vector<const char*> argv{"vernier"};
  for (const std::string& a : arguments) argv.push_back(a.c_str());
  return run_cli(static_cast<int>(argv.size()), argv.data());
}

class ReliabilityCli : public ::testing::Test {
 protected:
  ClassifierFolder folder_{"vernier_reliability_cli", 8};
  std::string at(const char* name) const { return (folder_.path() / name).string(); }
  std::vector<std::string> line(const std::vector<std::string>& more) const {
    std::vector<std::string> all{"evaluate",
                                 folder_.model(),
                                 "--reliability",
                                 "--data",
                                 folder_.manifest_path().string(),
                                 "--schemes",
                                 "int8:channel:sym,int4:channel:sym",
                                 "--draws",
                                 "20",
                                 "--severities",
                                 "1",
                                 "--corruptions",
                                 "contrast",
                                 "--attack-images",
                                 "2",
                                 "--attack-radii",
                                 "2",
                                 "--square-queries",
                                 "3"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
};

TEST_F(ReliabilityCli, TablesArtefactAndPage) {
  ::testing::internal::CaptureStdout();
  ASSERT_EQ(run_line(line({"--ood", at(""), "-o", at("reliability.json"), "--report", at("page.html")})), 0);
  const std::string told = ::testing::internal::GetCapturedStdout();
  for (const char* part :
       {"Confidence", "Out of distribution", "Corruptions", "Attacks", "int4:channel:sym: calibration",
        "expected calibration error", "worst of all attacks", "2/255"})
    EXPECT_THAT(told, HasSubstr(part));
  const Json json = read_json(at("reliability.json"));
  EXPECT_EQ(json["models"], Json({"original", "int8:channel:sym", "int4:channel:sym"}));
  EXPECT_EQ(json["dimensions"].size(), 5u);
  for (const Json& dimension : json["dimensions"]) {
    EXPECT_EQ(dimension["summary"].size(), dimension["key"] == "features" ? 0u : 2u);
    EXPECT_FALSE(dimension["headline"].get<std::string>().empty());
  }
  EXPECT_EQ(json["dimensions"][0]["claim"]["cases"].size(), 2u);
  EXPECT_EQ(json["model"]["hash"].get<std::string>().size(), 32u);
  ASSERT_EQ(run_line({"report", at("reliability.json"), "-o", at("again.html")}), 0);
  EXPECT_EQ(read_file(at("page.html")), read_file(at("again.html")));
  EXPECT_THAT(read_file(at("again.html")), HasSubstr(json["model"]["name"].get<std::string>()));
  write_json(at("plan.json"), {{"kind", "plan"}});
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(run_line({"report", at("plan.json")}), 2);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("kind \"plan\" has no page of its own"));
  EXPECT_FALSE(std::filesystem::exists(at("reliability.json.parts")));
}

TEST_F(ReliabilityCli, SomeDimensionsOfSomeImages) {
  ASSERT_EQ(run_line(line({"--dimensions", "confidence", "--images", "4", "-o", at("some.json")})), 0);
  const Json json = read_json(at("some.json"));
  EXPECT_EQ(json["dimensions"].size(), 1u);
  EXPECT_EQ(json["data"]["examples"], 4);
}

TEST_F(ReliabilityCli, ActivationsAreSpelledBesideSchemes) {
  std::vector<std::string> arguments =
      line({"--dimensions", "confidence,attacks", "--attacks", "fgsm", "-o", at("a8.json")});
  for (std::string& argument : arguments)
    if (argument == "int8:channel:sym,int4:channel:sym") argument = "+int4:token,int4:channel:sym+int4:token";
  ASSERT_EQ(run_line(arguments), 0);
  const Json json = read_json(at("a8.json"));
  EXPECT_EQ(json["models"], Json({"original", "+int4:token", "int4:channel:sym+int4:token"}));
  for (const Json& row : json["dimensions"][0]["rows"])
    if (row["key"] == "confidence") {
      EXPECT_NE(row["models"][1]["value"], row["models"][0]["value"]);
      EXPECT_NE(row["models"][2]["value"], row["models"][1]["value"]);
    }
  for (std::string& argument : arguments)
    if (argument == "+int4:token,int4:channel:sym+int4:token") argument = "int4:channel:sym@image";
  ::testing::internal::CaptureStderr();
  EXPECT_NE(run_line(arguments), 0);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("has one tower"));
}

TEST_F(ReliabilityCli, WhatCannotBe) {
  const auto refused = [&](const std::vector<std::string>& more, const char* said) {
    ::testing::internal::CaptureStderr();
    EXPECT_NE(run_line(line(more)), 0);
    EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr(said));
  };
  refused({"--dimensions", "luck"}, "luck");
  refused({"--attack-steps", "0"}, "--attack-steps: got 0, expected 1 or more");
  refused({"--attack-radii", "abc"}, "abc");
  refused({"--token-log", at("log.json")}, "--token-log");
  ::testing::internal::CaptureStderr();
  EXPECT_NE(run_line({"evaluate", folder_.model(), "--reliability"}), 0);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("expected one --data"));
}

TEST(ReliabilityTextCli, ConfidenceAndCarelessText) {
  const std::string model = std::string(VERNIER_SOURCE_DIR) + "/models/demo-5m";
  ::testing::internal::CaptureStdout();
  ASSERT_EQ(run_line({"evaluate", model, "--reliability", "--schemes", "gguf:q4_0", "--context", "32", "--windows", "2",
                      "--draws", "10", "--severities", "1", "--perturb-text"}),
            0);
  const std::string told = ::testing::internal::GetCapturedStdout();
  for (const char* part : {"Confidence", "gguf:q4_0", "Text written carelessly", "homoglyphs"})
    EXPECT_THAT(told, HasSubstr(part));
}

TEST(ReliabilityTextCli, ModelsAreToldApart) {
  const std::string model = std::string(VERNIER_SOURCE_DIR) + "/models/demo-5m";
  const std::filesystem::path folder = scratch_path("vernier_reliability_names");
  for (const char* part : {"one", "two"}) {
    std::filesystem::create_directories(folder / part);
    ASSERT_EQ(run_line({"export", model, "--scheme", "gguf:q4_0", "--method", "nearest", "-o",
                        (folder / part / "q4.gguf").string()}),
              0);
  }
  const std::string one = (folder / "one/q4.gguf").string(), two = (folder / "two/q4.gguf").string();
  std::vector<std::string> line{"evaluate",
                                model,
                                "--reliability",
                                "--context",
                                "32",
                                "--windows",
                                "2",
                                "--draws",
                                "10",
                                "--dimensions",
                                "confidence",
                                "-o",
                                (folder / "r.json").string(),
                                "--with",
                                one,
                                two};
  ASSERT_EQ(run_line(line), 0);
  EXPECT_EQ(read_json(folder / "r.json")["models"], Json({"original", "q4.gguf", two}));
  line.push_back(two);
  line.push_back(two);
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(run_line(line), 2);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("q4.gguf is named twice"));
  std::filesystem::remove_all(folder);
}

TEST(ReliabilityTextCli, WhatOnlyModelsThatSeeHaveIsRefused) {
  const std::string model = std::string(VERNIER_SOURCE_DIR) + "/models/demo-5m";
  for (const std::vector<std::string>& asked : std::vector<std::vector<std::string>>{{"--dimensions", "corruptions"},
                                                                                     {"--dimensions", "careless_text"},
                                                                                     {"--attacks", "fgsm"},
                                                                                     {"--draws", "-1"},
                                                                                     {"--severities", "9"},
                                                                                     {"--images", "5"},
                                                                                     {"--shots", "2"}}) {
    std::vector<std::string> line{"evaluate", model, "--reliability", "--context", "32", "--windows", "2"};
    line.insert(line.end(), asked.begin(), asked.end());
    ::testing::internal::CaptureStderr();
    EXPECT_EQ(run_line(line), 2) << asked[0] << " " << asked[1];
    EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("reliability: "));
  }
}

TEST(ReliabilityTextCli, ModelsThatReadOtherTokensAreNotCompared) {
  const std::string demo = std::string(VERNIER_SOURCE_DIR) + "/models/demo-5m";
  const std::filesystem::path other = scratch_path("vernier_reliability_other_ids");
  std::filesystem::copy(demo, other, std::filesystem::copy_options::recursive);
  Json tokenizer = read_json(other / "tokenizer.json");
  std::swap(tokenizer["model"]["vocab"]["e"], tokenizer["model"]["vocab"]["a"]);
  write_json(other / "tokenizer.json", tokenizer);
  const std::vector<std::string> line{"evaluate",  demo, "--reliability", "--with", other.string(), "--context", "32",
                                      "--windows", "2",  "--draws",       "10"};
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(run_line(line), 2);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("read this text as other tokens"));
  std::filesystem::remove_all(other);
}

}  // namespace
}  // namespace vernier
