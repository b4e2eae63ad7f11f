#include "vernier/evaluation_file.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/json.h"
#include "support/expect_error.h"
#include "support/models.h"

namespace vernier {
namespace {

/// A model against itself, on running text and on documents of two groups.
EvaluationFile sample() {
  const Model model = fixture_model("llama");
  EvaluationData documents = made_up_windows(3, 24, 320);
  documents.name = "documents";
  documents.clusters = {{"en", 60}, {"fi", 80}, {"en", 70}};
  const Evaluation text = evaluate({&model}, &model, made_up_windows(2, 32, 320))[0];
  const Evaluation groups = evaluate({&model}, &model, documents)[0];
  EvaluationFile file = evaluation_file(text, &groups);
  file.budget_bytes = 1100;
  file.rows.push_back({.label = "original", .kind = "reference", .bytes = 4000, .bits_per_weight = 16});
  file.rows.back().text = scores_of_reference(text.all);
  file.rows.push_back(evaluation_row(
      {.label = "mine", .kind = "plan", .bytes = 1000, .bits_per_weight = 4.5, .budget_fits = true, .method = "auto"},
      text, &groups));
  return file;
}

TEST(EvaluationFile, RoundTrips) {
  const Json json = evaluation_file_to_json(sample());
  const EvaluationFile back = evaluation_file_from_json(json, "x");
  EXPECT_EQ(evaluation_file_to_json(back).dump(), json.dump());
  EXPECT_EQ(back.text.name, "made up");
  EXPECT_EQ(back.groups->name, "documents");
  EXPECT_EQ(back.budget_bytes, 1100u);
  ASSERT_EQ(back.rows.size(), 2u);
  EXPECT_FALSE(back.rows[0].budget_fits);
  EXPECT_EQ(back.rows[1].budget_fits, true);
  EXPECT_EQ(back.rows[1].method, "auto");
  EXPECT_EQ(back.rows[0].method, "") << "nobody searched the source's";
  EXPECT_EQ(back.rows[1].text.kl().mean, 0);
  EXPECT_EQ(back.rows[1].tails->delta_p_rms, 0);
  EXPECT_EQ(back.rows[1].groups.size(), 2u);
  EXPECT_EQ(back.rows[1].groups.at("en").distinct_documents, 2);
  EvaluationFile engine = sample();
  engine.activations = Activations::kLlamaCpp;
  EXPECT_EQ(evaluation_file_from_json(evaluation_file_to_json(engine), "x").activations, Activations::kLlamaCpp);
}

TEST(EvaluationFile, KeysAreStable) {
  const Json json = evaluation_file_to_json(sample());
  EXPECT_EQ(json["schema_version"], kEvaluationSchema);
  for (const char* key : {"name", "hash", "context", "windows"}) {
    EXPECT_TRUE(json["data"]["text"].contains(key)) << key;
    EXPECT_TRUE(json["data"]["groups"].contains(key)) << key;
  }
  const Json& text = json["rows"][1]["text"];
  for (const char* key :
       {"tokens", "perplexity", "perplexity_stderr", "nll_nats", "kl_nats", "kl_nats_stderr", "delta_nll_nats",
        "same_top_share", "reference_nll_nats", "kl_nats_max", "kl_nats_99_9", "delta_p_mean", "delta_p_95"})
    EXPECT_TRUE(text.contains(key)) << key;
  const Json& group = json["rows"][1]["groups"]["en"];
  for (const char* key : {"documents", "distinct_documents", "text_bytes", "nll_bits_per_byte", "nll_nats_per_document",
                          "reference_nll_bits_per_byte", "delta_nll_bits_per_byte", "delta_nll_nats_per_document"})
    EXPECT_TRUE(group.contains(key)) << key;
}

/// Every figure that a row holds is explained, and nothing else.
TEST(EvaluationFile, DescribesWhatItHolds) {
  const EvaluationFile file = sample();
  const Json json = evaluation_file_to_json(file);
  ASSERT_FALSE(json["metrics"].empty());
  for (const Json& metric : json["metrics"]) {
    const std::string key = metric["key"];
    EXPECT_TRUE(file.rows[1].text.find(key) != nullptr || file.rows[1].groups.at("en").find(key) != nullptr) << key;
  }
  EXPECT_EQ(json["metrics"].size(), file.rows[1].groups.at("en").metrics.size());
  EvaluationFile alone = file;
  alone.rows.pop_back();
  EXPECT_EQ(evaluation_file_to_json(alone)["metrics"].size(), 2u) << "perplexity and NLL";
}

TEST(EvaluationFile, TheReferencesFiguresComeFromTheComparison) {
  const Model model = fixture_model("llama");
  const EvaluationData data = made_up_windows(3, 24, 320);
  const Scores own = evaluate({&model}, nullptr, data)[0].all;
  const Scores found = scores_of_reference(evaluate({&model}, &model, data)[0].all);
  EXPECT_EQ(found.tokens, own.tokens);
  EXPECT_NEAR(found.nll().mean, own.nll().mean, 1e-6);
  EXPECT_NEAR(found.perplexity().mean, own.perplexity().mean, 1e-6 * own.perplexity().mean);
  expect_error(ErrorKind::kInvalidArgument, {"reference_nll_nats"}, [&] { scores_of_reference(own); });
}

TEST(EvaluationFile, WhatIsBrokenIsNamed) {
  const Json good = evaluation_file_to_json(sample());
  const auto expect_refused = [&](const std::string& pointer, const Json& value, const std::string& part) {
    Json broken = good;
    broken[Json::json_pointer(pointer)] = value;
    expect_error(ErrorKind::kBadFile, {"e.json", part}, [&] { evaluation_file_from_json(broken, "e.json"); });
  };
  expect_refused("/schema_version", 1, "another schema");
  expect_refused("/activations", "rounded", "activations: expected exact or llama.cpp");
  expect_refused("/data/text", nullptr, "text");
  expect_refused("/rows", 3, "rows");
  expect_refused("/rows/1/label", 3, "label");
  expect_refused("/rows/1/bytes", -1, "bytes");
  expect_refused("/rows/1/budget_fits", 1, "budget_fits");
  expect_refused("/rows/1/text/kl_nats", "much", "kl_nats");
  expect_refused("/rows/1/text/delta_p_5", nullptr, "delta_p_5");
  expect_refused("/rows/1/groups/fi/tokens", "many", "tokens");
}

}  // namespace
}  // namespace vernier
