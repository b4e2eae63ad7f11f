#include "cli/cli.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <sstream>

#include "base/json.h"
#include "base/output_file.h"
#include "format/safetensors_file.h"
#include "support/models.h"
#include "support/scratch.h"
#include "vernier/error.h"
#include "vernier/evaluation_file.h"

namespace vernier {
namespace {

namespace fs = std::filesystem;

int run(std::initializer_list<std::string> arguments) {
  std::vector<const char*> argv{"vernier"};
  for (const std::string& a : arguments) argv.push_back(a.c_str());
  return run_cli(static_cast<int>(argv.size()), argv.data());
}

std::vector<float> floats_of(const SafetensorsEntry& entry) {
  std::vector<float> values(entry.data.size() / sizeof(float));
  std::memcpy(values.data(), entry.data.data(), entry.data.size());
  return values;
}

class Cli : public ::testing::Test {
 protected:
  fs::path work_ = scratch_path("vernier_cli_test");
  std::string demo_ = (source_dir() / "models/demo-5m").string();
  std::string llama_ = (source_dir() / "tests/fixtures/models/llama").string();
  void SetUp() override {
    fs::remove_all(work_);
    fs::create_directories(work_);
  }
  void TearDown() override { fs::remove_all(work_); }
  std::string at(const char* name) const { return (work_ / name).string(); }
};

TEST_F(Cli, ExitCodesTellWhatWentWrong) {
  EXPECT_EQ(run({"--version"}), 0);
  EXPECT_EQ(run({"run", "--help"}), 0);
  EXPECT_EQ(run({"inspect", demo_}), 0);
  EXPECT_EQ(run({}), 2);
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(run({"--quiet", "dance"}), 2);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), ::testing::HasSubstr("\"dance\" is no subcommand"));
  EXPECT_EQ(run({"run", demo_, "--budget", "much", "-o", at("x")}), 2);
  EXPECT_EQ(run({"run", demo_, "--target", "vllm", "-o", at("x")}), 1);  // "not supported yet"
  EXPECT_EQ(run({"inspect", at("missing")}), 1);
  write_file(work_ / "bad" / "config.json", "{");
  EXPECT_EQ(run({"inspect", at("bad")}), 4);
  EXPECT_FALSE(fs::exists(work_ / "x"));
}

// CLI11 aligns texts in a column; an option whose name is too long has its text on the next line.
std::vector<std::string> unexplained_lines(const std::string& help) {
  std::vector<std::string> lines, found;
  std::stringstream stream(help);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  lines.emplace_back();
  for (size_t i = 0; i + 1 < lines.size(); ++i) {
    const size_t name = lines[i].find_first_not_of(' ');
    if (name != 2 || lines[i][name] != '-') continue;
    const bool beside = lines[i].size() > 34 && lines[i][33] == ' ', below = lines[i + 1].starts_with("      ");
    if (!beside && !below) found.push_back(lines[i]);
  }
  return found;
}

TEST_F(Cli, HelpExplainsEveryOption) {
  using ::testing::HasSubstr, ::testing::IsEmpty, ::testing::Not;
  const auto help = [](std::initializer_list<std::string> arguments) {
    ::testing::internal::CaptureStdout();
    EXPECT_EQ(run(arguments), 0);
    return ::testing::internal::GetCapturedStdout();
  };
  EXPECT_THAT(unexplained_lines("  --named TEXT\n  --other TEXT\n                  what it is\n"),
              ::testing::SizeIs(1));
  EXPECT_THAT(help({"--help"}), HasSubstr("vernier run MODEL --budget +10% -o out"));
  for (const char* command : {"run", "inspect", "doctor", "calibrate", "activations", "diagnose", "screen", "plan",
                              "quantize", "export", "evaluate", "report", "logits", "tokenize"}) {
    const std::string text = help({command, "--help"});
    EXPECT_THAT(unexplained_lines(text), IsEmpty()) << command;
    EXPECT_THAT(text, HasSubstr("Exit codes")) << command;
    EXPECT_THAT(text, Not(HasSubstr("1099511627776"))) << command;
  }
  const std::string diagnose = help({"diagnose", "--help"});
  for (const ComponentKind kind : all_component_kinds())
    EXPECT_THAT(diagnose, HasSubstr(std::string(kind_name(kind)))) << "a kind that is measured can be asked for";
}

TEST_F(Cli, TokenizeAndLogitsWriteWhatTheySay) {
  EXPECT_EQ(run({"tokenize", demo_, "--text", "Hello"}), 0);
  EXPECT_EQ(run({"tokenize", demo_}), 2);
  EXPECT_EQ(
      run({"logits", llama_, "--input", (source_dir() / "tests/fixtures/models/llama/golden.safetensors").string(),
           "-o", at("logits.safetensors")}),
      0);
  const SafetensorsFile ours(at("logits.safetensors"));
  const SafetensorsFile golden(source_dir() / "tests/fixtures/models/llama/golden.safetensors");
  EXPECT_EQ(ours.read("logits").shape, golden.read("logits").shape);
  const auto distance = [&](const SafetensorsFile& file) {
    const std::vector<float> a = floats_of(file.read("logits")), b = floats_of(golden.read("logits"));
    double difference = 0, size = 0;
    for (size_t i = 0; i < b.size(); ++i) {
      difference += std::pow(a[i] - b[i], 2);
      size += std::pow(b[i], 2);
    }
    return std::sqrt(difference / size);
  };
  EXPECT_LT(distance(ours), 2e-5);
  ASSERT_EQ(
      run({"logits", llama_, "--dtype", "bf16", "--input",
           (source_dir() / "tests/fixtures/models/llama/golden.safetensors").string(), "-o", at("bf16.safetensors")}),
      0);
  const double half = distance(SafetensorsFile(at("bf16.safetensors")));
  EXPECT_GT(half, 1e-4) << "8 bits of mantissa leave their mark";
  EXPECT_LT(half, 3e-2);
}

// One window has no standard error; the page can be made again; a run that failed with other options leaves no report.
TEST_F(Cli, ARunOfOneWindowAndItsPageAgain) {
  const std::string text = (source_dir() / "data/builtin/evaluation.txt").string(), out = at("out");
  const auto run_with = [&](const char* budget) {
    return run({"--quiet", "run", demo_, "--method", "importance", "--budget", budget, "--context", "64", "--windows",
                "1", "--calibration-windows", "2", "--diagnose-windows", "2", "--data", text, "-o", out});
  };
  ASSERT_EQ(run_with("+10%"), 0);
  const std::string page = read_file(fs::path(out) / "report.html");
  ASSERT_EQ(run({"report", out, "-o", at("again.html")}), 0);
  EXPECT_EQ(read_file(at("again.html")), page);
  EXPECT_EQ(run_with("1bpw"), 3);
  EXPECT_EQ(run({"report", out, "-o", at("still.html")}), 0) << "what cannot be done has changed nothing";
  EXPECT_EQ(read_file(at("still.html")), page);
  Json manifest = read_json(fs::path(out) / "manifest.json");
  manifest.erase("artefacts");  // as a run with other options that was killed
  write_json(fs::path(out) / "manifest.json", manifest);
  EXPECT_EQ(run({"report", out, "-o", at("mixed.html")}), 4) << "options of one run, artefacts of another";
  EXPECT_FALSE(fs::exists(at("mixed.html")));
}

TEST_F(Cli, AReportOfAFolderWithoutARunSaysWhatMakesOne) {
  testing::internal::CaptureStderr();
  EXPECT_EQ(run({"report", work_.string()}), 1);
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              ::testing::HasSubstr("`vernier run MODEL -o " + work_.string() + "`"));
  EXPECT_TRUE(fs::is_empty(work_));
}

TEST_F(Cli, WindowsBeyondWhatTheModelIsMadeForAreWarnedOf) {
  const auto warning = [&](const char* context) {
    testing::internal::CaptureStderr();
    EXPECT_EQ(run({"evaluate", demo_, "--context", context, "--windows", "1"}), 0);
    return testing::internal::GetCapturedStderr();
  };
  EXPECT_THAT(warning("2048"), ::testing::HasSubstr("--context 1024 leaves it out"));
  EXPECT_THAT(warning("1024"), ::testing::Not(::testing::HasSubstr("is made for")));
}

TEST_F(Cli, AnExportIsNotNamedAsWhatItIsNot) {
  for (const char* target : {"llama.cpp", "huggingface"})
    EXPECT_EQ(run({"export", demo_, "--target", target, "--scheme", "f16", "-o", at("x.safetensors")}), 2);
  EXPECT_FALSE(fs::exists(at("x.safetensors")));
}

TEST_F(Cli, PresetsArePlannedWithoutDamage) {
  ASSERT_EQ(run({"plan", demo_, "--preset", "q3_k_m", "-o", at("p.json"), "--recipe", at("r.txt")}), 0);
  const Json plan = read_json(at("p.json"));
  EXPECT_EQ(plan["label"], "llama.cpp's q3_k_m");
  EXPECT_TRUE(plan["predicted_kl_nats"].is_null() && plan["tensors"][0]["kl_nats"].is_null()) << "nothing was measured";
  EXPECT_THAT(read_file(at("r.txt")), ::testing::HasSubstr("not foretold"));
  EXPECT_EQ(run({"export", demo_, "--plan", at("p.json"), "--method", "nearest", "--dry-run"}), 0);
  EXPECT_EQ(run({"plan", demo_, "--preset", "q3_k_m", "--budget", "+5%"}), 2) << "a preset has the size that it has";
  EXPECT_EQ(run({"plan", demo_, "--preset", "q3_k_m", "-o", at("p.json"), "--recipe", at("r.txt")}), 0) << "its own";
  const std::string mine = ".* = gguf:q4_k  # written by hand\n";
  write_file(at("mine.txt"), mine);
  EXPECT_EQ(run({"plan", demo_, "--preset", "q3_k_m", "-o", at("p.json"), "--recipe", at("mine.txt")}), 2);
  EXPECT_EQ(read_file(at("mine.txt")), mine);
  EXPECT_NE(run({"plan", demo_, "--preset", "q3_k_x"}), 0);
  EXPECT_EQ(run({"plan", demo_}), 2);
}

// The stages by hand: each artefact feeds the next, and the budget is met by the file itself.
TEST_F(Cli, StagesChainThroughTheirArtefacts) {
  const std::string cal = at("c.safetensors"), diagnosis = at("d.json"), plan = at("p.json"), file = at("m.gguf");
  ASSERT_EQ(run({"--quiet", "calibrate", demo_, "--windows", "4", "-o", cal}), 0);
  ASSERT_EQ(run({"--quiet", "diagnose", demo_, "--calibration", cal, "--windows", "2", "--kinds", "tensor,embed",
                 "--no-joint", "-o", diagnosis}),
            0);
  ASSERT_EQ(run({"plan", demo_, "--diagnosis", diagnosis, "--budget", "+10%", "-o", plan, "--recipe", at("r.txt")}), 0);
  ASSERT_EQ(run({"--quiet", "export", demo_, "--plan", plan, "--calibration", cal, "-o", file}), 0);
  const Json json = read_json(plan);
  EXPECT_LE(fs::file_size(file), json["budget"]["bytes"].get<uint64_t>());
  EXPECT_EQ(run({"plan", demo_, "--diagnosis", diagnosis, "--budget", "1bpw", "-o", at("q.json")}), 3);
  EXPECT_FALSE(fs::exists(work_ / "q.json"));
  ASSERT_EQ(run({"--quiet", "screen", demo_, "--calibration", cal, "--windows", "2", "--kfac-rows", "0", "--schemes",
                 "gguf:q3_k", "gguf:q4_k", "gguf:q6_k", "-o", at("s.json")}),
            0);
  ASSERT_EQ(run({"plan", demo_, "--screen", at("s.json"), "--over-domains", "worst", "--budget", "4bpw", "-o",
                 at("sp.json")}),
            0);
  for (const auto& tensor : read_json(at("sp.json"))["tensors"]) {
    const std::string scheme = tensor["scheme"].get<std::string>();
    EXPECT_TRUE(scheme == "gguf:q3_k" || scheme == "gguf:q4_k" || scheme == "gguf:q6_k" || scheme == "f32") << scheme;
  }
  EXPECT_EQ(run({"plan", demo_, "--screen", at("s.json"), "--diagnosis", diagnosis, "-o", at("q.json")}), 2);
  // The recipe is the plan: a file made from it holds the same tensors.
  ASSERT_EQ(run({"--quiet", "export", demo_, "--recipe", at("r.txt"), "--calibration", cal, "-o", at("r.gguf")}), 0);
  EXPECT_EQ(model_hash(load_model(at("r.gguf"))), model_hash(load_model(file)));
  EXPECT_EQ(run({"--quiet", "evaluate", file, "--reference", demo_, "--windows", "2", "--json", at("e.json")}), 0);
  const EvaluationFile evaluation = evaluation_file_from_json(read_json(at("e.json")), "e.json");
  ASSERT_EQ(evaluation.rows.size(), 2u);
  EXPECT_EQ(evaluation.rows[0].kind, "reference");
  EXPECT_EQ(evaluation.rows[1].label, "m.gguf");
  EXPECT_EQ(evaluation.rows[1].bytes, fs::file_size(file));
  EXPECT_GT(evaluation.rows[1].text.kl().mean, 0);
  EXPECT_LT(evaluation.rows[1].text.kl().mean, 0.1);
  EXPECT_EQ(run({"--quiet", "evaluate", file, "--activations", "llama.cpp", "--windows", "2"}), 0);
  EXPECT_EQ(run({"--quiet", "evaluate", demo_, "--activations", "llama.cpp", "--windows", "2"}), 2);
  EXPECT_EQ(run({"--quiet", "evaluate", file, "--activations", "llama.cpp", "--dtype", "bf16", "--windows", "2"}), 2);
  EXPECT_EQ(run({"inspect", file}), 0);
  EXPECT_EQ(run({"quantize", demo_, "--scheme", "int4:g128:sym", "--calibration", cal, "-o", at("q")}), 0);
  EXPECT_EQ(run({"--quiet", "evaluate", at("q"), "--windows", "2"}), 0);
  const auto warned = [&](const std::string& model) {
    ::testing::internal::CaptureStderr();
    EXPECT_EQ(run({"export", model, "--target", "huggingface", "--plan", plan, "--dry-run"}), 0);
    return ::testing::internal::GetCapturedStderr();
  };
  EXPECT_THAT(warned(demo_), ::testing::Not(::testing::HasSubstr("other weights")));
  EXPECT_THAT(warned(at("q")), ::testing::HasSubstr("p.json was made for other weights"));
}

TEST_F(Cli, DocumentsWithGroupsAreDiagnosedAndPlannedByGroup) {
  const std::string cal = at("c.safetensors"), diagnosis = at("d.json"), plan = at("p.json"), texts = at("g.jsonl");
  std::string lines;
  for (int i = 0; i < 3; ++i)
    lines += fmt::format(R"({{"text": "{} quick brown foxes jump over the lazy dog.", "group": "en"}})"
                         "\n"
                         R"({{"text": "for (int i = {}; i < n; ++i) sum += values[i];", "group": "code"}})"
                         "\n",
                         i, i);
  write_file(texts, lines);
  ASSERT_EQ(run({"--quiet", "calibrate", demo_, "--windows", "2", "--context", "64", "-o", cal}), 0);
  ::testing::internal::CaptureStdout();
  ASSERT_EQ(run({"--quiet", "diagnose", demo_, "--calibration", cal, "--kinds", "tensor,embed", "--data", texts,
                 "--context", "64", "--no-joint", "-o", diagnosis}),
            0);
  const std::string said = ::testing::internal::GetCapturedStdout();
  EXPECT_THAT(said, ::testing::HasSubstr("component x group: p ="));
  EXPECT_THAT(said, ::testing::HasSubstr("hurt most by the matrix"));
  EXPECT_EQ(read_json(diagnosis)["groups"].size(), 2u);
  ASSERT_EQ(run({"plan", demo_, "--diagnosis", diagnosis, "--objective", "worst-group", "-o", plan}), 0);
  EXPECT_EQ(read_json(plan)["objective"]["name"], "worst-group");
  EXPECT_EQ(run({"plan", demo_, "--diagnosis", diagnosis, "--objective", "weighted:en=1,code=2", "--dry-run"}), 0);
  EXPECT_EQ(run({"plan", demo_, "--diagnosis", diagnosis, "--objective", "fair", "--dry-run"}), 2);
  EXPECT_EQ(run({"plan", demo_, "--diagnosis", diagnosis, "--objective", "worst-group", "--front"}), 2);
}

TEST_F(Cli, APlanIsComparedWithTheLimit) {
  const std::string cal = at("c.safetensors"), diagnosis = at("d.json"), limit = at("s.json");
  ASSERT_EQ(run({"--quiet", "calibrate", demo_, "--windows", "2", "--context", "64", "-o", cal}), 0);
  ASSERT_EQ(run({"--quiet", "diagnose", demo_, "--calibration", cal, "--windows", "2", "--kinds", "tensor,embed",
                 "--context", "64", "--no-joint", "-o", diagnosis}),
            0);
  const auto screen = [&](const std::vector<std::string>& more) {
    std::vector<std::string> all{"--quiet", "screen",    demo_, "--calibration", cal, "--windows",
                                 "2",       "--context", "64",  "--kfac-rows",   "0", "-o",
                                 limit};
    all.insert(all.end(), more.begin(), more.end());
    std::vector<const char*> argv{"vernier"};
    for (const std::string& a : all) argv.push_back(a.c_str());
    return run_cli(static_cast<int>(argv.size()), argv.data());
  };
  ASSERT_EQ(screen({}), 0);
  EXPECT_EQ(run({"plan", demo_, "--diagnosis", diagnosis, "--limit", limit, "--dry-run"}), 2) << "a screen without one";
  ASSERT_EQ(screen({"--limit"}), 0);
  EXPECT_EQ(read_json(limit)["limit"]["matrices"].size(), 43u);
  ASSERT_EQ(
      run({"plan", demo_, "--diagnosis", diagnosis, "--limit", limit, "-o", at("p.json"), "--json", at("p2.json")}), 0);
  const Json plan = read_json(at("p2.json"));
  EXPECT_NEAR(plan["limit"]["limit_kl_nats"].get<double>() * plan["limit"]["ratio"].get<double>(),
              plan["predicted_kl_nats"].get<double>(), 1e-6);
  ASSERT_EQ(run({"plan", demo_, "--diagnosis", diagnosis, "--limit", limit, "--front", "--json", at("f.json")}), 0);
  for (const Json& point : read_json(at("f.json"))["points"]) EXPECT_GT(point["limit_kl_nats"], 0);
  Json other = read_json(limit);
  other["model_hash"] = "0123";
  write_json(limit, other);
  EXPECT_EQ(run({"plan", demo_, "--diagnosis", diagnosis, "--limit", limit, "--dry-run"}), 2) << "of another model";
}

// Another target by its name alone; a method that needs no calibration; what a plan file says of both.
TEST_F(Cli, AScreenOfTwoDomainsIsComparedWithADiagnosis) {
  const std::string cal = at("c.safetensors"), diagnosis = at("d.json"), json = at("both.json");
  const std::string text = (source_dir() / "data/builtin/evaluation.txt").string();
  ASSERT_EQ(run({"--quiet", "calibrate", demo_, "--windows", "2", "-o", cal}), 0);
  ASSERT_EQ(run({"--quiet", "diagnose", demo_, "--calibration", cal, "--windows", "2", "--kinds", "tensor", "--context",
                 "64", "--scheme", "int4:g128:sym", "-o", diagnosis, "--json", at("d2.json")}),
            0);
  ASSERT_EQ(run({"--quiet",
                 "screen",
                 demo_,
                 "--calibration",
                 cal,
                 "--windows",
                 "2",
                 "--context",
                 "64",
                 "--schemes",
                 "int4:g128:sym,int3:g64:sym",
                 "--data",
                 "one=" + text,
                 "two=" + text,
                 "--against",
                 diagnosis,
                 "--channels",
                 at("channels.safetensors"),
                 "-o",
                 at("screen.json"),
                 "--json",
                 json}),
            0);
  const Json both = read_json(json);
  EXPECT_EQ(both["domains"].size(), 2u);
  EXPECT_EQ(both["values"]["diagonal"]["one"]["int4:g128:sym"], both["values"]["diagonal"]["two"]["int4:g128:sym"])
      << "one text under two names";
  ASSERT_FALSE(both["agreements"].empty());
  EXPECT_EQ(both["agreements"][0]["estimator"], "predicted_kl");
  EXPECT_EQ(both["agreements"][0]["count"], 42) << "seven matrices in each of six layers";
  EXPECT_EQ(read_json(at("screen.json"))["values"], both["values"]);
  EXPECT_TRUE(fs::exists(at("channels.safetensors")));
  ::testing::internal::CaptureStderr();
  run({"plan", demo_, "--screen", at("screen.json"), "--dry-run"});
  EXPECT_THAT(::testing::internal::GetCapturedStderr(),
              ::testing::HasSubstr("int4:g128:sym, int3:g64:sym of the screen: no candidate for llama.cpp"));
  EXPECT_EQ(run({"--quiet", "screen", demo_, "--calibration", cal, "--against", at("none.json"), "-o", at("x.json")}),
            2);
  EXPECT_EQ(run({"--quiet", "screen", demo_, "--calibration", cal, "--windows", "1", "--schemes", "gguf:q4_k",
                 "--against", diagnosis, "-o", at("x.json")}),
            2);
  EXPECT_FALSE(fs::exists(at("x.json"))) << "refused before anything is screened";
}

TEST_F(Cli, TargetsAndMethodsAreTakenFromTheirTables) {
  const std::string folder = at("values"), file = at("m.gguf");
  ASSERT_EQ(run({"--quiet", "export", llama_, "--scheme", "int4:g32:asym", "--method", "nearest", "--target",
                 "huggingface", "-o", folder, "--json", at("e.json")}),
            0);
  uint64_t written = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) written += entry.file_size();
  EXPECT_EQ(read_json(at("e.json"))["bytes"].get<uint64_t>(), written);
  const Json plan = read_json(fs::path(folder) / "vernier_plan.json");
  EXPECT_EQ(plan["method"], "nearest");
  EXPECT_EQ(plan["target"], "huggingface");
  EXPECT_EQ(plan["tensors"][0]["tensor"], "embed");
  ASSERT_EQ(run({"--quiet", "quantize", llama_, "--scheme", "int4:g32:asym", "--method", "nearest", "-o", at("q")}), 0);
  for (const char* name : {"model.safetensors", "vernier_plan.json", "config.json"})
    EXPECT_EQ(read_file(work_ / "q" / name), read_file(fs::path(folder) / name)) << name;
  ASSERT_EQ(run({"--quiet", "export", demo_, "--scheme", "gguf:q4_0", "--method", "nearest", "-o", file}), 0);
  EXPECT_EQ(run({"--quiet", "export", demo_, "--scheme", "gguf:q4_0", "-o", file}), 2)
      << "importance needs calibration";
  ASSERT_EQ(run({"--quiet", "export", demo_, "--scheme", "f16", "-o", at("f16.gguf"), "--json", at("f16.json")}), 0)
      << "of numbers as they are nothing is searched";
  EXPECT_EQ(read_json(at("f16.json"))["bytes"].get<uint64_t>(), fs::file_size(at("f16.gguf")));
  EXPECT_EQ(run({"--quiet", "export", demo_, "--scheme", "gguf:q4_0", "--method", "magic", "-o", file}), 2);
  EXPECT_EQ(run({"--quiet", "export", demo_, "--scheme", "f16", "--target", "abacus", "-o", file}), 2);
  EXPECT_EQ(run({"--quiet", "quantize", file, "--scheme", "f16", "--method", "nearest", "-o", at("no")}), 2);
  EXPECT_FALSE(fs::exists(work_ / "no"));
}

TEST_F(Cli, ARunForADirectoryEndsInADirectory) {
  const std::string text = (source_dir() / "data/builtin/evaluation.txt").string(), out = at("out");
  ASSERT_EQ(run({"--quiet",
                 "run",
                 demo_,
                 "--target",
                 "huggingface",
                 "--method",
                 "importance",
                 "--budget",
                 "4.5bpw",
                 "--context",
                 "64",
                 "--windows",
                 "1",
                 "--calibration-windows",
                 "2",
                 "--diagnose-windows",
                 "1",
                 "--data",
                 text,
                 "-o",
                 out}),
            0);
  const Json plan = read_json(fs::path(out) / "plan.json"), rows = read_json(fs::path(out) / "evaluation.json")["rows"];
  EXPECT_EQ(plan["target"], "huggingface");
  ASSERT_GT(rows.size(), 2u);
  for (size_t i = 1; i < rows.size(); ++i) EXPECT_EQ(rows[i]["budget_fits"], true) << rows[i]["label"];
  EXPECT_TRUE(read_json(fs::path(out) / "manifest.json")["artefacts"].contains("model/model.safetensors"));
  EXPECT_EQ(run({"report", out, "-o", at("again.html")}), 0);
  EXPECT_EQ(run({"--quiet", "evaluate", out + "/model", "--windows", "1", "--context", "64"}), 0);
}

// The same weights and the same number of tokens, two of which have changed places.
TEST_F(Cli, AReferenceThatReadsTheTextAsOtherTokensIsRefused) {
  const fs::path other = work_ / "other";
  fs::copy(demo_, other, fs::copy_options::recursive);
  Json tokenizer = read_json(other / "tokenizer.json");
  std::swap(tokenizer["model"]["vocab"]["e"], tokenizer["model"]["vocab"]["a"]);
  write_json(other / "tokenizer.json", tokenizer);
  const auto evaluate = [&](std::vector<const char*> options) {
    std::vector<const char*> argv{"vernier",     "--quiet",     "evaluate",  other.c_str(),
                                  "--reference", demo_.c_str(), "--windows", "2"};
    argv.insert(argv.end(), options.begin(), options.end());
    ::testing::internal::CaptureStderr();
    const int code = run_cli(static_cast<int>(argv.size()), argv.data());
    return std::pair(code, ::testing::internal::GetCapturedStderr());
  };
  const auto [code, said] = evaluate({});
  EXPECT_EQ(code, 2);
  EXPECT_THAT(said, ::testing::HasSubstr("read this text as other tokens"));
  EXPECT_THAT(said, ::testing::ContainsRegex("at \".+\": \\[[0-9, ]+\\] against \\[[0-9, ]+\\]"));
  const auto [allowed, warned] = evaluate({"--different-tokenizers"});
  EXPECT_EQ(allowed, 0);
  EXPECT_THAT(warned, ::testing::HasSubstr("means nothing"));
  ::testing::internal::CaptureStderr();
  fs::remove(other / "tokenizer.json");
  EXPECT_EQ(run({"--quiet", "evaluate", demo_, "--reference", other.string(), "--windows", "2"}), 0);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), ::testing::HasSubstr("other has no tokenizer.json"));
}

TEST_F(Cli, AFolderWithAnotherProgramsManifestIsLeftAlone) {
  write_file(work_ / "manifest.json", "{\"name\": \"a web page\"}");
  EXPECT_EQ(run({"--quiet", "run", demo_, "-o", work_.string()}), 2);
  EXPECT_EQ(read_file(work_ / "manifest.json"), "{\"name\": \"a web page\"}");
}

TEST_F(Cli, WhatCannotBeMeantIsRefused) {
  EXPECT_EQ(run({"calibrate", demo_, "--windows", "-7", "-o", at("c")}), 2);
  EXPECT_EQ(run({"evaluate", demo_, "--filter", "in_mix=false"}), 2) << "there are no documents to choose from";
  EXPECT_EQ(run({"run", demo_, "--context", "4096", "--data", demo_ + "/config.json", "-o", at("x")}), 2)
      << "too short a text";
}

// Values replace a model only where the user says so.
TEST_F(Cli, QuantizeDoesNotOverwriteItsSource) {
  const fs::path copy = work_ / "model";
  fs::copy(llama_, copy, fs::copy_options::recursive);
  const std::string before = read_file(copy / "model.safetensors");
  write_file(work_ / "c", "x");
  EXPECT_EQ(
      run({"quantize", copy.string(), "--scheme", "int2:g32", "--calibration", at("c"), "-o", copy.string() + "/."}),
      2);
  EXPECT_EQ(read_file(copy / "model.safetensors"), before);
}

}  // namespace
}  // namespace vernier
