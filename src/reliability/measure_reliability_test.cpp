// Images from files to figures: against single passes, killed and resumed.

#include "vernier/measure_reliability.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/json.h"
#include "base/output_file.h"
#include "engine/aten_answers.h"
#include "reliability/matched_noise.h"
#include "support/cancelling_sink.h"
#include "support/classifier_folder.h"
#include "support/expect_error.h"
#include "support/models.h"
#include "support/scratch.h"
#include "vernier/corruptions.h"
#include "vernier/decode_images.h"
#include "vernier/evaluate.h"
#include "vernier/planning.h"
#include "vernier/quantize.h"

namespace vernier {
namespace {

namespace fs = std::filesystem;

class MeasureReliability : public ::testing::Test {
 protected:
  static constexpr int kSide = 32, kCount = 10;
  ClassifierFolder folder_{"vernier_measure_reliability", kCount};
  std::optional<Model> model_, quantized_;
  std::vector<ReliabilitySubject> subjects_;
  LabelledImages images_;
  ReliabilityRequest request_;

  void SetUp() override {
    for (int i = 0; i < kCount; ++i) request_.outside.push_back(folder_.image((i * 7) % kCount));
    model_ = load_model(folder_.model());
    Plan plan = plan_uniform(*model_, "int4:channel:sym", "huggingface");
    plan.method = "nearest";
    quantized_ = quantize(*model_, {}, plan, 1).in_memory();
    subjects_ = {{"f32", &*model_}, {"int4", &*quantized_}};
    images_ = read_manifest(folder_.manifest_path(), class_names_of(*model_));
    // Half of the answers are right, so that there is something to lose.
    const Answers said = classify_images(*model_, images_);
    for (size_t i = 0; i < images_.images.size(); i += 2) images_.images[i].label = said.predicted[i];
    request_.options.bootstrap_draws = 20;
    request_.options.corruptions = {"fog", "jpeg", "gaussian_noise"};
    request_.options.severities = 2;
    request_.options.control_seeds = 1;
    request_.options.attack_images = 5;
    request_.options.attack_steps = 2;
    request_.options.square_queries = 5;
    request_.options.attack_radii = {1.0 / 255, 4.0 / 255};
    request_.classify.compute.threads = 2;
  }

  static const ReliabilityRow& row(const Reliability& found, const std::string& dimension, const std::string& key,
                                   const std::string& condition, double level) {
    for (const ReliabilityDimension& d : found.dimensions)
      for (const ReliabilityRow& r : d.rows)
        if (d.key == dimension && r.key == key && r.condition == condition && r.group.empty() &&
            (r.level == level || (std::isnan(level) && std::isnan(r.level))))
          return r;
    throw std::out_of_range(dimension + " " + key + " " + condition);
  }
  double accuracy_by_hand(const Model& model, const Corruption& corruption, int severity) const {
    int right = 0;
    for (int i = 0; i < kCount; ++i) {
      const Image changed = corrupt(read_image(images_.images[static_cast<size_t>(i)].path), corruption, severity,
                                    corruption_seed(1, i, corruption.key, severity), through_jpeg);
      at::Tensor pixels = at::empty({1, 3, kSide, kSide});
      for (int64_t k = 0; k < kSide * kSide; ++k)
        for (int64_t c = 0; c < 3; ++c)
          pixels.data_ptr<float>()[c * kSide * kSide + k] =
              (static_cast<float>(changed.rgb[static_cast<size_t>(3 * k + c)]) / 255 - 0.5f) / 0.25f;
      right += classify(model, pixels).argmax().item<int64_t>() == images_.images[static_cast<size_t>(i)].label;
    }
    return right / static_cast<double>(kCount);
  }
};

TEST_F(MeasureReliability, AllDimensionsOfAllModels) {
  const Reliability found = measure_reliability(subjects_, images_, request_);
  ASSERT_EQ(found.dimensions.size(), 5u);
  for (const ReliabilityDimension& dimension : found.dimensions) {
    EXPECT_EQ(dimension.claim.has_value(), dimension.key == "confidence") << dimension.key;
    EXPECT_EQ(dimension.summary.size(), dimension.key == "features" ? 0u : 1u) << dimension.key;
    EXPECT_FALSE(dimension.headline.empty()) << dimension.key;
    for (const ReliabilityRow& own : dimension.rows) EXPECT_EQ(own.models.size(), 2u) << own.key;
  }
  for (const char* key : {"fog", "jpeg", "gaussian_noise"})
    for (int severity : {1, 2}) {
      const ReliabilityRow& own = row(found, "corruptions", "accuracy", key, severity);
      EXPECT_DOUBLE_EQ(own.models[0].value, accuracy_by_hand(*model_, find_corruption(key), severity)) << key;
      EXPECT_DOUBLE_EQ(own.models[1].value, accuracy_by_hand(*quantized_, find_corruption(key), severity)) << key;
    }
  for (size_t m = 0; m < 2; ++m) {
    const auto at = [&](const char* attack, int level) {
      return row(found, "attacks", "accuracy", attack, level / 255.0).models[m].value;
    };
    for (const char* attack : {"fgsm", "pgd", "transfer", "square", "pgd_l2"}) {
      EXPECT_LE(at(attack, 4), at(attack, 1)) << "a greater ball holds the smaller one";
      if (std::string(attack) != "pgd_l2") {
        EXPECT_LE(at("worst", 1), at(attack, 1));
      }
    }
  }
  const ReliabilityRow& transfer = row(found, "attacks", "accuracy", "transfer", 1.0 / 255);
  EXPECT_GE(transfer.models[0].value, row(found, "attacks", "accuracy", "pgd", 1.0 / 255).models[0].value)
      << "from the first model to itself, without looking on the way";
}

// What runs on a GPU, in plain operations on the CPU: all dimensions go to the device that they are told to.
TEST_F(MeasureReliability, PlainOperationsFindTheSame) {
  // Images outside are those inside here: which of two equal scores is greater is up to their last bit.
  request_.dimensions = {"confidence", "features", "corruptions", "attacks"};
  const Reliability fused = measure_reliability(subjects_, images_, request_);
  request_.classify.compute.device = "aten";
  const Reliability plain = measure_reliability(subjects_, images_, request_);
  ASSERT_EQ(plain.dimensions.size(), fused.dimensions.size());
  for (size_t d = 0; d < fused.dimensions.size(); ++d) {
    const std::vector<ReliabilityRow>&expected = fused.dimensions[d].rows, &found = plain.dimensions[d].rows;
    ASSERT_EQ(found.size(), expected.size()) << fused.dimensions[d].key;
    for (size_t r = 0; r < found.size(); ++r)
      for (size_t m = 0; m < 2; ++m) {
        const double wanted = expected[r].models[m].value, own = found[r].models[m].value;
        if (std::isfinite(wanted)) {
          EXPECT_NEAR(own, wanted, 1e-3 * std::max(1.0, std::abs(wanted))) << expected[r].key << " " << m;
        }
      }
  }
}

TEST_F(MeasureReliability, KilledAndResumedToTheSameFigures) {
  const std::string whole = reliability_to_json(measure_reliability(subjects_, images_, request_)).dump();
  request_.parts = folder_.path() / "parts";
  // In the clean images, those outside, the second model's features, the second corruption, the control, and the attacks.
  for (const int updates : {3, 15, 11, 25, 50, 30}) {
    CancellingSink sink(updates);
    EXPECT_THROW(measure_reliability(subjects_, images_, request_, &sink), Cancelled) << updates;
  }
  EXPECT_TRUE(fs::exists(request_.parts));
  request_.classify.compute.threads = 1;
  EXPECT_EQ(reliability_to_json(measure_reliability(subjects_, images_, request_)).dump(), whole);
  EXPECT_FALSE(fs::exists(request_.parts)) << "nothing is left behind";
}

TEST_F(MeasureReliability, PartsOfOtherModelsAreNotTaken) {
  request_.parts = folder_.path() / "parts";
  request_.dimensions = {"confidence"};
  fs::create_directories(request_.parts);
  write_file(request_.parts / "logits.json", R"({"identity": "another", "part": [[1], [2]]})");
  EXPECT_EQ(measure_reliability(subjects_, images_, request_).dimensions.size(), 1u);
}

TEST(ThroughJpeg, IsWhatPillowWrites) {
  const Json json = read_json(source_dir() / "tests/fixtures/reliability/corruptions.json");
  const auto side = json["side"].get<int64_t>();
  const Image image{side, side, json["image"].get<std::vector<uint8_t>>()};
  for (int severity = 1; severity <= kSeverities; ++severity) {
    const auto expected = json["operators"]["jpeg"][static_cast<size_t>(severity - 1)].get<std::vector<double>>();
    const Image found = corrupt(image, find_corruption("jpeg"), severity, 1, through_jpeg);
    // Versions of libjpeg-turbo differ in the last bits of colour conversion.
    for (size_t i = 0; i < expected.size(); ++i)
      ASSERT_NEAR(found.rgb[i], 255 * expected[i], 3) << severity << " " << i;
  }
}

TEST_F(MeasureReliability, WhatCannotBe) {
  const auto refused = [&](std::initializer_list<std::string> parts) {
    expect_error(ErrorKind::kInvalidArgument, parts, [&] { measure_reliability(subjects_, images_, request_); });
  };
  request_.dimensions = {"luck"};
  refused({"luck", "confidence"});
  request_.dimensions = {"out_of_distribution"};
  request_.outside.clear();
  refused({"--ood"});
  request_.dimensions = {};
  request_.options.corruptions = {"rain"};
  refused({"rain"});
  request_.options.corruptions = {};
  request_.options.attack_radii = {0.1, 0.1};
  refused({"rise"});
  expect_error(ErrorKind::kInvalidArgument, {"no model"}, [&] { measure_reliability({}, images_, {}); });
}

TEST_F(MeasureReliability, MatchedNoiseHasThePowerOfEveryMatrix) {
  const Model noisy = with_matched_noise(*model_, *quantized_, 5);
  for (const TensorId& id : model_->tensors()) {
    const at::Tensor before = model_->weight(id).to(at::kFloat);
    if (!is_matrix(id.role)) {
      EXPECT_TRUE(noisy.weight(id).equal(model_->weight(id))) << name_of(id);
      continue;
    }
    const double wanted = (quantized_->weight(id).to(at::kFloat) - before).square().mean().item<double>();
    const double found = (noisy.weight(id) - before).square().mean().item<double>();
    EXPECT_NEAR(found / wanted, 1, 6 * std::sqrt(2.0 / static_cast<double>(before.numel()))) << name_of(id);
  }
  EXPECT_FALSE(with_matched_noise(*model_, *quantized_, 6)
                   .weight(model_->matrices()[0])
                   .equal(noisy.weight(model_->matrices()[0])));
}

TEST(MeasureTextReliability, ConfidenceIsThatOfEveryScoredToken) {
  const Model model = fixture_model("llama");
  const EvaluationData data = made_up_windows(3, 24, model.config().vocabulary);
  ReliabilityRequest request;
  request.options.bootstrap_draws = 10;
  const Reliability found = measure_text_reliability({{"f32", &model}}, data, request, {});
  double confidence = 0, right = 0, loss = 0, brier = 0, tokens = 0;
  for (const TokenWindow& window : data.windows) {
    const at::Tensor p = exact_log_p(model, window).exp();
    for (int64_t r = 0; r < window.scored(); ++r) {
      const int64_t label = window.tokens[static_cast<size_t>(window.first_row + 1 + r)];
      confidence += p[r].max().item<double>();
      right += p[r].argmax().item<int64_t>() == label ? 1 : 0;
      loss -= std::log(p[r][label].item<double>());
      brier += (p[r].square().sum() - 2 * p[r][label] + 1).item<double>();
      ++tokens;
    }
  }
  const auto value = [&](const std::string& key) {
    for (const ReliabilityRow& row : found.dimensions[0].rows)
      if (row.key == key && row.group.empty()) return row.models[0].value;
    return std::nan("");
  };
  EXPECT_EQ(found.examples, static_cast<int64_t>(tokens));
  const double float32 = 1e-5;  // the model's arithmetic
  EXPECT_NEAR(value("confidence"), confidence / tokens, float32);
  EXPECT_NEAR(value("accuracy"), right / tokens, float32);
  EXPECT_NEAR(value("loss_nats"), loss / tokens, 10 * float32);
  EXPECT_NEAR(value("brier"), brier / tokens, float32);
}

/// Logits of the scored tokens of some windows by definition, and their labels.
struct TokenLogits {
  std::vector<float> logits;
  std::vector<int32_t> labels;
};
TokenLogits token_logits(const Model& model, const EvaluationData& data, int64_t half) {
  TokenLogits tokens;
  for (const TokenWindow& window : data.windows) {
    if (data.distinct_cluster(window) % 2 != half) continue;
    const at::Tensor log_p = exact_log_p(model, window).to(at::kFloat).contiguous();
    tokens.logits.insert(tokens.logits.end(), log_p.data_ptr<float>(), log_p.data_ptr<float>() + log_p.numel());
    for (int64_t r = 0; r < window.scored(); ++r)
      tokens.labels.push_back(window.tokens[static_cast<size_t>(window.first_row + 1 + r)]);
  }
  return tokens;
}

TEST(MeasureTextReliability, EachHalfIsRefittedByTheOther) {
  const Model model = fixture_model("llama");
  const EvaluationData data = made_up_windows(4, 24, model.config().vocabulary);
  ReliabilityRequest request;
  request.options.bootstrap_draws = 10;
  const Reliability found = measure_text_reliability({{"f32", &model}}, data, request, {});
  const int64_t vocabulary = model.config().vocabulary;
  const auto clamped = [](double t) { return std::clamp(t, 0.25, 4.0); };
  double loss = 0, tokens = 0;
  std::vector<float> logits;
  std::vector<int32_t> labels;
  for (const int64_t half : {0, 1}) {
    const TokenLogits own = token_logits(model, data, half), other = token_logits(model, data, 1 - half);
    const double temperature = clamped(fit_temperature(other.logits, vocabulary, other.labels));
    const Predictions said = predictions_of_logits(own.logits, vocabulary, own.labels, temperature);
    loss += mean_loss_nats(said) * static_cast<double>(said.size()), tokens += static_cast<double>(said.size());
    logits.insert(logits.end(), own.logits.begin(), own.logits.end());
    labels.insert(labels.end(), own.labels.begin(), own.labels.end());
  }
  const auto value = [&](const std::string& key) {
    for (const ReliabilityRow& row : found.dimensions[0].rows)
      if (row.key == key && row.group.empty()) return row.models[0].value;
    return std::nan("");
  };
  // Within the 1e-3 of a temperature's logarithm that streaming allows.
  EXPECT_NEAR(std::log(value("temperature")), std::log(clamped(fit_temperature(logits, vocabulary, labels))), 1e-3);
  EXPECT_NEAR(value("loss_nats_refitted"), loss / tokens, 1e-3);
  EXPECT_TRUE(std::isfinite(value("ece_signed_refitted")));
}

TEST(MeasureTextReliability, KilledWithinAPassAndResumedToTheSameFigures) {
  const Model model = fixture_model("llama");
  const EvaluationData data = made_up_windows(70, 8, model.config().vocabulary);
  ReliabilityRequest request;
  request.options.bootstrap_draws = 10;
  const auto measured = [&](ProgressSink* sink) {
    return reliability_to_json(measure_text_reliability({{"f32", &model}}, data, request, {}, sink)).dump();
  };
  const std::string whole = measured(nullptr);
  request.parts = scratch_path("vernier_text_parts");
  fs::remove_all(request.parts);
  CancellingSink early(67);  // of 70 windows, of which 64 are a part
  EXPECT_THROW(measured(&early), Cancelled);
  EXPECT_TRUE(fs::exists(request.parts / "confidence_from_window_0.json"));
  CancellingSink late(70);  // the second pass: the first goes on with what was there
  EXPECT_THROW(measured(&late), Cancelled);
  EXPECT_EQ(measured(nullptr), whole);
  EXPECT_FALSE(fs::exists(request.parts)) << "nothing is left behind";
}

TEST(MeasureTextReliability, RoundedInputsAreOfTheModelThatHasThem) {
  const Model model = fixture_model("llama");
  const EvaluationData data = made_up_windows(2, 16, model.config().vocabulary);
  ReliabilityRequest request;
  request.options.bootstrap_draws = 10;
  const Activations rounding = Activations::parse("int4:token");
  const Reliability found = measure_text_reliability({{"f32", &model}, {"A4", &model, rounding}}, data, request, {});
  EvaluateOptions options;
  options.activations = rounding;
  const double loss = evaluate({&model}, nullptr, data, options)[0].all.nll().mean;
  for (const ReliabilityRow& row : found.dimensions[0].rows)
    if (row.key == "loss_nats") {
      EXPECT_NEAR(row.models[1].value, loss, 2e-6 * loss);  // that one is summed in float32
      EXPECT_NE(row.models[1].value, row.models[0].value);
    }
}

TEST(MeasureChoiceReliability, AQuestionsLogitsAreTheLogLikelihoodsOfItsAnswers) {
  const Model model = fixture_model("llama");
  const std::vector<ChoiceItem> items{
      {"q", {"a", "b"}, 1, "x", 1}, {"q", {"a", "b", "c"}, 2, "y", 2}, {"q", {"a", "b"}, 0, "x", 3}};
  ScoredTexts texts;
  texts.data = made_up_windows(7, 12, model.config().vocabulary);
  texts.text = {{0, 0}, {0, 1}, {1, 0}, {1, 1}, {1, 2}, {2, 0}, {2, 1}};
  std::vector<double> sums;
  for (const TokenWindow& window : texts.data.windows) {
    const at::Tensor log_p = exact_log_p(model, window);
    double sum = 0;
    for (int64_t r = 0; r < window.scored(); ++r)
      sum += log_p[r][window.tokens[static_cast<size_t>(window.first_row + 1 + r)]].item<double>();
    sums.push_back(sum);
  }
  double confidence = 0, loss = 0;
  size_t first = 0;
  for (const ChoiceItem& item : items) {
    double total = 0, greatest = 0;
    for (size_t c = 0; c < item.choices.size(); ++c) {
      const double p = std::exp(sums[first + c] - sums[first]);
      total += p, greatest = std::max(greatest, p);
    }
    confidence += greatest / total / 3;
    loss -= (sums[first + static_cast<size_t>(item.answer)] - sums[first] - std::log(total)) / 3;
    first += item.choices.size();
  }
  ReliabilityRequest request;
  request.options.bootstrap_draws = 10;
  request.parts = scratch_path("vernier_choice_parts");
  const Reliability found = measure_choice_reliability({{"f32", &model}}, items, texts, request);
  EXPECT_FALSE(fs::exists(request.parts));
  for (const ReliabilityRow& row : found.dimensions[0].rows) {
    if (row.key == "confidence") {
      EXPECT_NEAR(row.models[0].value, confidence, 1e-4);
    }
    if (row.key == "loss_nats") {
      EXPECT_NEAR(row.models[0].value, loss, 1e-3);
    }
  }
  EXPECT_EQ(found.examples, 3);
}

TEST(MeasureTextReliability, CarelessTextIsARowPerPerturbationAndSeverity) {
  const Model model = fixture_model("llama");
  ReliabilityRequest request;
  request.options.bootstrap_draws = 10;
  request.options.severities = 2;
  std::vector<std::string> asked;
  const auto perturbed = [&](std::string_view key, int severity) {
    asked.push_back(fmt::format("{} {}", key, severity));
    return made_up_windows(2, 16 + severity, model.config().vocabulary);
  };
  const Reliability found = measure_text_reliability(
      {{"f32", &model}}, made_up_windows(2, 16, model.config().vocabulary), request, perturbed);
  EXPECT_EQ(asked.size(), 8u);
  ASSERT_EQ(found.dimensions.size(), 2u);
  ASSERT_EQ(found.dimensions[1].rows.size(), 18u);
  for (size_t figure : {0u, 1u}) {
    double mean = 0;
    for (size_t r = 2 + figure; r < 18; r += 2) mean += found.dimensions[1].rows[r].models[0].value / 8;
    EXPECT_NEAR(found.dimensions[1].rows[figure].models[0].value, mean, 1e-12);
  }
}

}  // namespace
}  // namespace vernier
