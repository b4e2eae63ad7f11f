// The chain as a library, without the command line, on a tiny model.

#include "vernier/run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "base/hash.h"
#include "base/json.h"
#include "base/output_file.h"
#include "run/run_directory.h"
#include "run/run_stages.h"
#include "support/expect_error.h"
#include "support/models.h"
#include "support/scratch.h"
#include "support/small_tokenizer.h"
#include "vernier/error.h"
#include "vernier/export.h"
#include "vernier/planning.h"

namespace vernier {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains, ::testing::ElementsAre, ::testing::HasSubstr, ::testing::IsEmpty, ::testing::Not;

struct Stages : ProgressSink {
  std::set<std::string> begun;
  std::vector<std::string> warnings;
  void begin(std::string_view stage, int64_t, std::string_view) override {
    begun.emplace(stage.substr(0, stage.find(' ')));  // "quantize planned"
  }
  void warn(std::string_view message) override { warnings.emplace_back(message); }
};

class RunLibrary : public ::testing::Test {
 protected:
  fs::path work_ = scratch_path("vernier_run_library");
  fs::path out_ = work_ / "out";
  std::string text_ = (work_ / "text.txt").string(), other_text_ = (work_ / "other.txt").string();

  void SetUp() override {
    fs::remove_all(work_);
    const std::string text = read_file(source_dir() / "data/builtin/evaluation.txt");
    const size_t cut = text.rfind('\n', 2000) + 1;
    write_file(text_, text.substr(0, cut));
    write_file(other_text_, text.substr(cut, text.rfind('\n', 5000) + 1 - cut));
  }
  void TearDown() override { fs::remove_all(work_); }

  std::string source(const char* scheme) {
    const Model model = fixture_model("llama");
    const std::string path = (work_ / "source.gguf").string();
    export_model(find_target("llama.cpp"),
                 quantize(model, calibrate(model, made_up_windows(2, 16, 300)), plan_uniform(model, scheme), 1),
                 small_tokenizer(), path);
    return path;
  }
  RunOptions options() const {
    RunOptions o;
    o.output = out_;
    o.context = 64;
    o.calibration_text = {other_text_};
    o.calibration_windows = 2;
    o.effort = Effort::kExact;
    o.screen_windows = 2;
    o.diagnose_windows = 1;
    o.evaluation_text = {text_};
    o.evaluation_windows = 2;
    o.compute.threads = 1;
    return o;
  }
};

/// Experts, their router, a shared one and its switch: what plans are made from goes through files in between.
TEST_F(RunLibrary, ModelsWithExpertsArePlannedAtEveryEffort) {
  for (const char* fixture : {"qwen2_moe", "mixtral"}) {
    const Model model = fixture_model(fixture);
    const std::string path = (work_ / "experts.gguf").string();
    export_model(find_target("llama.cpp"),
                 quantize(model, calibrate(model, made_up_windows(2, 16, 300)), plan_uniform(model, "f16"), 1),
                 small_tokenizer(), path);
    for (const Effort effort : {Effort::kScreen, Effort::kConfirm, Effort::kExact}) {
      RunOptions o = options();
      o.effort = effort;
      o.diagnose_windows = 2;
      o.output = out_ / fixture / std::string(effort_name(effort));
      const RunResult result = run(path, o);
      EXPECT_EQ(result.rows.back().kind, "plan") << fixture << " " << effort_name(effort);
      const Json plan = read_json(result.files.plan);
      int routers = 0;
      for (const Json& tensor : plan["tensors"]) routers += tensor["role"] == "router" && tensor["scheme"] == "f32";
      EXPECT_EQ(routers, model.config().depth());
    }
  }
}

TEST_F(RunLibrary, ACalibrationFromBeforeItsTextWasKeptIsMadeAgain) {
  const std::string path = source("f16");
  const RunResult first = run(path, options());
  Calibration old = load_calibration(first.files.calibration);
  ASSERT_FALSE(old.text.empty());
  old.text.clear();
  save_calibration(old, first.files.calibration);
  Json manifest = read_json(first.files.manifest);
  manifest["stages"]["calibrate"]["hash"] = hash_file(first.files.calibration);  // as that version's run left it
  write_json(first.files.manifest, manifest);
  Stages stages;
  const RunResult again = run(path, options(), &stages);
  EXPECT_THAT(stages.warnings, Contains(HasSubstr("does not hold its text")));
  EXPECT_THAT(stages.begun, Contains("calibrate"));
  EXPECT_FALSE(load_calibration(again.files.calibration).text.empty());
  EXPECT_EQ(run_result_to_json(again)["rows"], run_result_to_json(first)["rows"]);
}

TEST_F(RunLibrary, ADamagedCalibrationIsMadeAgain) {
  const std::string path = source("f16");
  const RunResult first = run(path, options());
  fs::resize_file(first.files.calibration, fs::file_size(first.files.calibration) / 2);
  Stages stages;
  const RunResult again = run(path, options(), &stages);
  EXPECT_THAT(stages.begun, Contains("calibrate"));
  EXPECT_EQ(run_result_to_json(again)["rows"], run_result_to_json(first)["rows"]);
}

// What is measured may be in bfloat16; a screen's gradients are in float32 all the same.
TEST_F(RunLibrary, AScreenIsInFloat32WhateverTheRestIs) {
  RunOptions o = options();
  o.effort = Effort::kScreen;
  o.compute.type = ComputeType::kBFloat16;
  const RunResult result = run(source("f16"), o);
  EXPECT_EQ(result.rows.back().kind, "plan");
}

TEST_F(RunLibrary, ASecondRoundStandsBetweenDamageAndPlan) {
  RunOptions o = options();
  o.diagnose_windows = 2;  // one measures, one judges
  o.second_round = true;
  const RunResult result = run(source("f16"), o);
  std::vector<std::string> timed;
  for (const StageTime& stage : result.stages) timed.push_back(stage.stage);
  EXPECT_THAT(timed, ElementsAre("calibrate", "diagnose", "refine", "plan", "export", "evaluate"));
  const Json refinement = read_json(out_ / "work/refinement.json");
  EXPECT_FALSE(refinement["exchanges"].empty());
  EXPECT_EQ(read_json(out_ / "work/rounded.json"), refinement["damage"]);
  EXPECT_THAT(read_file(result.files.report.string()), HasSubstr("before_kl_nats"));
  EXPECT_TRUE(run(source("f16"), o).stages.empty()) << "nothing is measured again";
}

TEST_F(RunLibrary, PlansWeighWhatTheSearchOfValuesLeaves) {
  const std::string path = source("f16");
  run(path, options());
  const DamageTable rounded = damage_table_from_json(read_json(out_ / "work/rounded.json"), "rounded.json"),
                    searched = damage_table_from_json(read_json(out_ / "damage.json"), "damage.json");
  const SearchEffect effect =
      search_effect_from_json(read_json(out_ / "work/search_effect.json"), "search_effect.json");
  EXPECT_EQ(rounded.method, "");
  EXPECT_EQ(searched.method, "auto");
  ASSERT_EQ(effect.left.size(), rounded.kl.size());
  for (const auto& [id, damages] : rounded.kl)
    for (const auto& [scheme, kl] : damages)
      EXPECT_EQ(searched.kl.at(id).at(scheme), kl * effect.left.at(id)) << name_of(id) << " " << scheme;
  const Model model = load_model(path);
  const Plan again = plan_within(model, load_tokenizer_of(path), searched, options().budget);
  const Json planned = read_json(out_ / "work/planned.json");
  EXPECT_EQ(plan_to_json(again)["tensors"], planned["tensors"]) << "damage.json is what the plan was made of";
  EXPECT_EQ(again.method, "auto");
  // What the search told is gone, the file it made is not.
  fs::remove(out_ / "work/search_effect.json");
  run(path, options());
  EXPECT_EQ(search_effect_from_json(read_json(out_ / "work/search_effect.json"), "search_effect.json").left,
            effect.left);
  EXPECT_EQ(read_json(out_ / "work/planned.json"), planned);
  RunOptions hurried = options();
  hurried.max_minutes = 1e-9;
  const RunResult result = run(path, hurried);
  EXPECT_EQ(read_json(out_ / "work/planned.json"), planned) << "what is known takes no time";
  EXPECT_EQ(result.rows.back().foretold_kl_nats, planned["predicted_kl_nats"].get<double>());
}

TEST_F(RunLibrary, GivesTheFiguresOfEveryFileAndGoesOnWhereItWas) {
  const std::string path = source("f16");
  Stages stages;
  const RunResult result = run(path, options(), &stages);
  EXPECT_THAT(stages.begun, ElementsAre("calibrate", "diagnose", "evaluate", "quantize"));
  EXPECT_EQ(result.warnings, stages.warnings);
  std::vector<std::string> timed;
  for (const StageTime& stage : result.stages) timed.push_back(stage.stage);
  EXPECT_THAT(timed, ElementsAre("calibrate", "diagnose", "plan", "export", "evaluate"));
  EXPECT_EQ(result.model_hash, model_hash(load_model(path)));
  ASSERT_GE(result.rows.size(), 3u);
  EXPECT_EQ(result.rows[0].label, "full precision");
  EXPECT_EQ(result.rows[0].text.find("kl_nats"), nullptr);
  EXPECT_EQ(result.rows.back().kind, "plan");
  EXPECT_EQ(read_json(out_ / "work/planned.json")["method"], "auto") << "of a model this small";
  const auto searched_alike = std::ranges::count(result.rows, "auto", &EvaluationRow::method);
  EXPECT_EQ(searched_alike, 2) << "the plan and the best of the uniform files";
  for (size_t i = 1; i < result.rows.size(); ++i) {
    const EvaluationRow& row = result.rows[i];
    EXPECT_TRUE(row.budget_fits.value()) << row.label;
    EXPECT_LE(row.bytes, result.budget_bytes) << row.label;
    EXPECT_GE(row.text.kl().mean, result.rows[result.chosen].text.kl().mean) << row.label;
    EXPECT_GT(row.text.same_top().mean, 0) << row.label;
  }
  ASSERT_GT(result.chosen, 0u);
  EXPECT_EQ(fs::file_size(result.files.model), result.rows[result.chosen].bytes);
  EXPECT_EQ(read_json(result.files.plan)["label"], result.rows[result.chosen].label);
  EXPECT_EQ(finished_manifest(out_), read_json(result.files.manifest));
  EXPECT_TRUE(fs::exists(result.files.report));
  // What is printed is what evaluation.json says.
  const Json json = run_result_to_json(result), rows = read_json(result.files.evaluation)["rows"];
  ASSERT_EQ(json["rows"].size(), rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    for (const char* key : {"label", "kind", "bytes", "bits_per_weight", "budget_fits"})
      EXPECT_EQ(json["rows"][i][key], rows[i][key]) << key;
    for (const char* key : {"perplexity", "perplexity_stderr", "kl_nats", "kl_nats_stderr", "same_top_share"})
      EXPECT_EQ(json["rows"][i][key], rows[i]["text"].value(key, Json())) << key;
  }

  const std::string manifest = read_file(result.files.manifest);
  Stages again;
  const RunResult same = run(path, options(), &again);
  EXPECT_THAT(again.begun, IsEmpty());
  EXPECT_THAT(same.stages, IsEmpty());
  EXPECT_EQ(read_file(result.files.manifest), manifest);
  EXPECT_EQ(run_result_to_json(same), json);
}

// No mix of rows this short is as small as a uniform file of four bits.
TEST_F(RunLibrary, WhatLlamaCppWouldDoStandsBesideThePlanWhereItFits) {
  RunOptions o = options();
  o.budget = "+80%";
  const RunResult result = run(source("f16"), o);
  ASSERT_GE(result.rows.size(), 3u);
  const EvaluationRow& preset = result.rows[result.rows.size() - 2];
  EXPECT_EQ(preset.kind, "preset");
  EXPECT_THAT(preset.label, HasSubstr("llama.cpp's "));
  EXPECT_EQ(read_json(out_ / "work/planned.json")["method"], "auto");
}

TEST_F(RunLibrary, AScreenIsConfirmedWhereItDecides) {
  const std::string path = source("f16");
  RunOptions o = options();
  o.effort = Effort::kConfirm;
  o.limit = true;
  o.diagnose_windows = 2;
  o.calibration_text = {text_, other_text_};
  o.evaluation_text = {(source_dir() / "data/builtin/calibration/languages.txt").string()};
  Stages stages;
  const RunResult result = run(path, o, &stages);
  EXPECT_THAT(stages.begun, ElementsAre("calibrate", "evaluate", "measure", "quantize", "screen"));
  const Json diagnosis = read_json(result.files.diagnosis), confirmation = read_json(out_ / "work/confirmation.json");
  int64_t foretold = 0;
  for (const Json& c : diagnosis["components"]) {
    foretold += c.contains("foretold");
    EXPECT_EQ(c["delta_nll_nats"].is_null(), c.contains("foretold")) << c["name"];
    EXPECT_GE(c["kl_nats"].get<double>(), 0) << c["name"];
  }
  ASSERT_GT(confirmation["matrices"].size(), 0u);
  EXPECT_EQ(foretold, static_cast<int64_t>(diagnosis["components"].size() - confirmation["matrices"].size()));
  EXPECT_EQ(confirmation["control_kl_nats"], 0);
  EXPECT_EQ(read_json(out_ / "screen.json")["domains"].size(), 2u) << "a domain for each text";
  EXPECT_GT(read_json(out_ / "front.json")["points"].size(), 5u);
  // Every file and every plan of the front stands beside the limit, of far too short a text.
  EXPECT_THAT(result.warnings, Contains(HasSubstr("which makes it too low")));
  const Json limit = read_json(out_ / "limit.json"), front = read_json(out_ / "front.json");
  ASSERT_EQ(limit["rows"].size() + 1, result.rows.size());
  ASSERT_EQ(result.limits.size() + 1, result.rows.size());
  for (size_t i = 1; i < result.rows.size(); ++i) {
    const LimitShares& shares = result.limits.at(result.rows[i].label);
    EXPECT_EQ(limit["rows"][i - 1]["label"], result.rows[i].label);
    EXPECT_EQ(limit["rows"][i - 1]["limit_kl_nats"], shares.limit_nats);
    EXPECT_NEAR(shares.ratio() * shares.limit_nats, result.rows[i].text.kl().mean, 1e-9);
    EXPECT_GE(shares.ratio(), 1) << result.rows[i].label;
  }
  for (const Json& point : front["points"]) EXPECT_GT(point["limit_kl_nats"], 0);
  for (size_t i = 1; i < limit["curve"].size(); ++i)
    EXPECT_LT(limit["curve"][i]["kl_nats"], limit["curve"][i - 1]["kl_nats"]);
  // Planning again needs nothing but the table of damage.
  const Model model = load_model(path);
  EXPECT_EQ(
      plan_within(model, load_tokenizer_of(path),
                  damage_table_from_json(read_json(out_ / "damage.json"), "damage.json"), o.budget, {.method = "auto"})
          .predicted_kl_nats,
      read_json(out_ / "work/planned.json")["predicted_kl_nats"].get<double>());
  Stages again;
  run(path, o, &again);
  EXPECT_THAT(again.begun, IsEmpty());

  o.effort = Effort::kScreen;
  Stages screened;
  run(path, o, &screened);
  EXPECT_THAT(screened.begun, Not(Contains("measure"))) << "and the screen is there already";
  EXPECT_THAT(screened.begun, Not(Contains("screen")));
  for (const Json& c : read_json(result.files.diagnosis)["components"]) EXPECT_TRUE(c.contains("foretold"));
}

TEST_F(RunLibrary, ARunOutOfTimeEndsWithAPlanAndSaysSo) {
  RunOptions o = options();
  o.effort = Effort::kConfirm;
  o.max_minutes = 1e-9;
  const RunResult result = run(source("f16"), o);
  EXPECT_THAT(result.warnings, Contains(HasSubstr("time was up")));
  EXPECT_EQ(result.rows.back().kind, "plan");
  EXPECT_THAT(result.warnings, Contains(HasSubstr("no time to write and measure")));
  EXPECT_THAT(result.warnings, Contains(HasSubstr("no time to search uniform")));
  EXPECT_FALSE(result.rows.back().foretold_kl_nats) << "of rounding, where values are searched";
  EXPECT_EQ(result.rows.size(), 3U) << "the source, the plan and one to compare it with";
  EXPECT_FALSE(read_json(out_ / "work/confirmation.json")["complete"].get<bool>());
}

TEST(Method, IsBySizeUnlessNamedAndRivalsAreSearchedByImportance) {
  const Model model = fixture_model("llama");
  EXPECT_EQ(method_of(model, {}), "auto");
  EXPECT_EQ(method_of(model, {.method = "nearest"}), "nearest");
  EXPECT_EQ(method_beside("auto"), "importance");
  EXPECT_EQ(method_beside("gptq"), "importance");
  EXPECT_EQ(method_beside("nearest"), "nearest");
}

TEST(Effort, IsNamed) {
  for (const Effort effort : {Effort::kScreen, Effort::kConfirm, Effort::kExact})
    EXPECT_EQ(parse_effort(effort_name(effort)), effort);
  expect_error(ErrorKind::kInvalidArgument, {"heroic", "screen, confirm, exact"}, [] { parse_effort("heroic"); });
}

// Artefacts are read once too, however many keys are made of their hashes.
TEST_F(RunLibrary, AFreshRunHashesTheModelAndEveryArtefactOnce) {
  const Model model = load_model(source("f16"));
  const uint64_t before = hashed_bytes();
  const RunResult result = run(model, options());
  const uint64_t hashed = hashed_bytes() - before;
  std::map<std::string, uint64_t> artefacts;  // by content: the plan and its copy under another name are one file
  const Json manifest = read_json(result.files.manifest);  // outlives the loop
  for (const auto& [stage, entry] : manifest["stages"].items())
    artefacts[entry["hash"].get<std::string>()] = fs::file_size(out_ / entry["artefact"].get<std::string>());
  uint64_t expected = model.stored_bytes();
  for (const auto& [hash, bytes] : artefacts) expected += bytes;
  EXPECT_GE(hashed, expected);
  // Beside them keys, token ids and statistics: less than another reading of the model would be.
  EXPECT_LT(hashed, expected + model.stored_bytes() * 3 / 4);
}

TEST_F(RunLibrary, WarningsAreKeptAndHeardOnce) {
  const std::string path = source("gguf:q4_1");
  RunOptions o = options();
  o.budget = std::to_string(fs::file_size(path));
  o.evaluation_text = o.calibration_text;
  Stages stages;
  const RunResult result = run(path, o, &stages);
  EXPECT_EQ(result.chosen, 0u) << "the source fits as it is";
  EXPECT_EQ(result.rows[0].label, "source (Q4_1)");
  EXPECT_EQ(result.warnings, stages.warnings);
  EXPECT_EQ(std::set<std::string>(result.warnings.begin(), result.warnings.end()).size(), result.warnings.size());
  EXPECT_THAT(result.warnings, Contains(HasSubstr("source.gguf is quantized already")));
  EXPECT_THAT(result.warnings, Contains(HasSubstr("the result flatters itself")));
  o.strict = true;
  EXPECT_THROW(run(path, o), Error);
}

TEST_F(RunLibrary, AForecastWritesNothing) {
  const Model model = load_model(source("f16"));
  const RunForecast forecast = forecast_run(model, options());
  EXPECT_EQ(forecast.components, components_of(model.config(), DiagnoseOptions().kinds).size());
  EXPECT_EQ(forecast.uniform_files.size(), planning_diagnosis().candidates.size());
  EXPECT_EQ(forecast.diagnose_windows, 1);
  EXPECT_EQ(forecast.threads, 1);
  EXPECT_GT(forecast.exact_seconds, 0);
  ASSERT_EQ(forecast.stages.size(), 4u) << "calibrate, diagnose, export, evaluate";
  double seconds = 0;
  for (const RunForecast::Stage& stage : forecast.stages) {
    EXPECT_GT(stage.seconds, 0) << stage.stage;
    seconds += stage.seconds;
  }
  EXPECT_DOUBLE_EQ(forecast.seconds, seconds);
  EXPECT_GT(forecast.peak_bytes, 0u);
  EXPECT_FALSE(fs::exists(out_));
  RunOptions all = options();
  all.diagnose_windows = 0;
  EXPECT_GT(forecast_run(model, all).diagnose_windows, 1) << "as many as the text has";
  all.budget = "1bpw";
  EXPECT_THROW(forecast_run(model, all), Error);
}

}  // namespace
}  // namespace vernier
