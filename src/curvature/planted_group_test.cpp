// A planted effect in a model: a rare class whose loss hangs on weights that the loss of all examples hardly feels.

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "base/output_file.h"
#include "support/scratch.h"
#include "support/vision_models.h"
#include "vernier/curvature.h"
#include "vernier/group_study.h"
#include "vernier/grouped_answers.h"
#include "vernier/planning.h"
#include "vernier/quantize.h"

namespace vernier {
namespace {

constexpr int kPlantedSide = 32, kPlantedFeatures = 8, kPlantedImages = 300, kOneIn = 15;
constexpr int kRare = 2;
const char* const kPlantedScheme = "int3:channel:sym7";  // of every row's largest magnitude thirds, those exactly

using PlantedFeatures = std::array<double, kPlantedFeatures>;

/// A ViT that reads features off its images and adds them up. Every square of an image holds the same pattern, a sum of
/// Walsh functions, one per feature; the patch embedding takes it apart, the first layer's attention, which looks
/// everywhere alike, hands the means to the class token, and nothing else adds to the stream. Constants in its upper half
/// make norms nearly constant factors. All of these matrices are of zeros and one magnitude per row, so that rounding
/// leaves them as they are: what it changes is the classifier.
class PlantedModel {
 public:
  /// A feature of 1 is one level of 255 of the pixels, and about 0.035 where the classifier reads it.
  PlantedModel(const std::string& name, const std::vector<PlantedFeatures>& rows, const std::vector<double>& biases)
      : folder_(scratch_path(name)) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    for (const char* file : {"config.json", "model.safetensors"})
      std::filesystem::copy_file(vision_fixture("vit") / file, folder_ / file);
    write_file(folder_ / "preprocessor_config.json",
               R"({"image_processor_type": "ViTImageProcessor", "size": {"height": 32, "width": 32},
                   "image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.25, 0.25]})");
    model_ = load_model(folder_.string());
    fill(rows, biases);
  }
  ~PlantedModel() { std::filesystem::remove_all(folder_); }
  PlantedModel(const PlantedModel&) = delete;
  PlantedModel& operator=(const PlantedModel&) = delete;

  const Model& model() const { return *model_; }
  Model rounded() const {
    Plan plan = plan_uniform(*model_, kPlantedScheme, "huggingface");
    plan.method = "nearest";
    return quantize(*model_, {}, plan, 2).in_memory();
  }

  /// One image in kOneIn is of the rare class, the others are of the two frequent ones in turns.
  /// @param features of an image of a class
  LabelledImages images(const std::function<PlantedFeatures(int label, std::mt19937& random)>& features) const {
    std::mt19937 random(11);
    std::uniform_int_distribution<int> noise(-8, 8);
    std::string lines = "path,label\n";
    for (int i = 0; i < kPlantedImages; ++i) {
      const int label = i % kOneIn == 0 ? kRare : i % 2;
      const PlantedFeatures own = features(label, random);
      std::string pixels;
      for (int y = 0; y < kPlantedSide; ++y)
        for (int x = 0; x < kPlantedSide; ++x) {
          double level = 127.5;
          for (int f = 0; f < kPlantedFeatures; ++f)
            level += own[static_cast<size_t>(f)] * pattern(f, y % 8 * 8 + x % 8);
          for (int colour = 0; colour < 3; ++colour)
            pixels.push_back(static_cast<char>(std::clamp<int>(static_cast<int>(level) + noise(random), 0, 255)));
        }
      std::ofstream(folder_ / fmt::format("{}.ppm", i), std::ios::binary)
          << fmt::format("P6\n{} {}\n255\n", kPlantedSide, kPlantedSide) << pixels;
      lines += fmt::format("{}.ppm,LABEL_{}\n", i, label);
    }
    return parse_manifest(lines, "planted.csv", folder_, class_names_of(*model_));
  }

 private:
  static double pattern(int feature, int place) {
    return std::popcount(static_cast<unsigned>((feature + 1) & place)) % 2 == 0 ? 1 : -1;
  }

  void fill(const std::vector<PlantedFeatures>& rows, const std::vector<double>& biases) {
    constexpr double kConstant = 4, kNorm = 2.87;  // of the constants and some features: sqrt(8 + a little)
    Model& m = *model_;
    for (const TensorId& id : m.tensors()) m.set_weight(id, at::zeros_like(m.weight(id)));
    const auto edited = [&](const TensorId& id, const auto& edit) {
      at::Tensor t = at::zeros_like(m.weight(id));
      edit(t);
      m.set_weight(id, t);
    };
    for (const TensorId& id : m.tensors())
      if (id.role == TensorRole::kAttnNorm || id.role == TensorRole::kFfnNorm || id.role == TensorRole::kOutputNorm)
        edited(id, [](at::Tensor& t) { t.fill_(1); });
    edited({TensorRole::kPositionEmbedding}, [&](at::Tensor& t) {
      for (int64_t c = t.size(1) / 2; c < t.size(1); ++c) t.select(1, c).fill_(c % 2 == 0 ? kConstant : -kConstant);
    });
    edited({TensorRole::kPatchEmbedding}, [&](at::Tensor& t) {  // [hidden, colours * 8 * 8]
      for (int f = 0; f < kPlantedFeatures; ++f)
        for (int64_t p = 0; p < t.size(1); ++p) t[f][p] = pattern(f, static_cast<int>(p % 64)) / 30;
    });
    edited({TensorRole::kAttnV, 0}, [](at::Tensor& t) {
      for (int f = 0; f < kPlantedFeatures; ++f) t[f][f] = 1;
    });
    edited({TensorRole::kAttnOutput, 0}, [&](at::Tensor& t) {
      for (int f = 0; f < kPlantedFeatures; ++f) t[f][f] = kNorm * 17 / 16;  // the class token has none itself
    });
    edited({TensorRole::kClassifier}, [&](at::Tensor& t) {
      for (size_t c = 0; c < rows.size(); ++c)
        for (int f = 0; f < kPlantedFeatures; ++f) t[static_cast<int64_t>(c)][f] = rows[c][static_cast<size_t>(f)];
    });
    edited({TensorRole::kClassifierBias}, [&](at::Tensor& t) {
      t.fill_(-20);  // classes that no image is of
      for (size_t c = 0; c < biases.size(); ++c) t[static_cast<int64_t>(c)] = biases[c];
    });
  }

  std::filesystem::path folder_;
  std::optional<Model> model_;
};

/// What `vernier groups --curvature` makes of it.
struct Measured3Bit {
  Measured3Bit(const PlantedModel& planted, const LabelledImages& images) : rounded(planted.rounded()) {
    GroupOptions options{.bootstrap_draws = 1000, .null_draws = 999};
    options.tolerance["loss_nats"] = 0.1;
    const std::vector<GroupedAnswers> answers = answer_images(planted.model(), {&rounded}, images);
    MeasuredCauses causes(planted.model(), loss_of_images(planted.model(), images), curvature);
    const ExamplesByGroup groups = examples_by_group(answers.front().examples, "class");
    study =
        study_groups(answers, {kPlantedScheme}, options,
                     [&](size_t, const std::string&, const std::string& attribute, std::vector<ChainRecord>& found) {
                       causes.complete(rounded, attribute, groups, found);
                       for (const ChainRecord& record : found) records[record.group] = record;
                     });
  }

  const AttributeResult& classes() const { return study.entries.at(0).analysis.attributes.at(0); }
  const GroupValue& loss_of(const std::string& group) const {
    for (const GroupResult& result : classes().groups)
      if (result.name == group) return result.figures.at("loss_nats");
    throw std::runtime_error("no group " + group);
  }

  CurvatureOptions curvature{.max_examples = 20, .max_iterations = 30, .eigen_tolerance = 1e-2, .max_probes = 10};
  Model rounded;
  GroupStudy study;
  std::map<std::string, ChainRecord> records;
};

const std::string kRareName = "LABEL_2";

// Feature 0 tells the frequent classes apart, feature 1 is a background of theirs, which no class reads; 2 to 5 are the rare
// class' own, which no other image has. The frequent classes' rows have small weights against those, less than half a step
// of a row whose scale is that of feature 0: rounded to nothing, they no longer keep those classes out of rare images.
TEST(PlantedGroup, ARareClassOfItsOwnDirectionsPays) {
  const double own = 0.7;
  const PlantedModel planted(
      "vernier_planted_effect",
      {{6, 0, -own, -own, -own, -own}, {-6, 0, -own, -own, -own, -own}, {0, 0, own, own, own, own}}, {0, 0, -2.4});
  const LabelledImages images = planted.images([](int label, std::mt19937& random) -> PlantedFeatures {
    const double jitter = std::normal_distribution<double>(0, 1.5)(random);
    if (label == kRare) return {jitter, 0, 20, 20, 20, 20};
    return {(label == 0 ? 4.8 : -4.8) + jitter, 10};
  });
  const Measured3Bit found(planted, images);

  const GroupValue& rare = found.loss_of(kRareName);
  EXPECT_EQ(rare.skew.verdict, Verdict::kExceeds);
  EXPECT_GT(rare.change.value, 0.8) << "nats: half of what keeps the frequent classes out is lost";
  EXPECT_LE(rare.null_p, 0.005) << "random groups of its size";
  EXPECT_GT(rare.change.value, 3 * rare.null.high);
  EXPECT_EQ(found.classes().gaps.at("loss_nats").spread.verdict, Verdict::kExceeds);
  EXPECT_EQ(found.classes().gaps.at("loss_nats").most_damaged, kRareName);
  const ChainRecord& causes = found.records.at(kRareName);
  EXPECT_LT(causes.accuracy_change, -0.5);
  for (const std::string frequent : {"LABEL_0", "LABEL_1"}) {
    EXPECT_EQ(found.loss_of(frequent).skew.verdict, Verdict::kWithin) << frequent;
    EXPECT_LT(std::abs(found.loss_of(frequent).change.value), 0.01) << frequent;
    // Neither the size of a group's gradient nor its largest curvature tells who pays, as arXiv 2509.07222 has it: those of
    // classes that nothing happens to are as large. What rounding did lies in other directions than they.
    EXPECT_LT(causes.gradient_norm, 1.5 * found.records.at(frequent).gradient_norm) << frequent;
    EXPECT_LT(causes.top_eigenvalue, 1.5 * found.records.at(frequent).top_eigenvalue) << frequent;
    EXPECT_LT(std::abs(found.records.at(frequent).foretold_loss_change), 0.01) << frequent;
  }
  EXPECT_NEAR(causes.foretold_loss_change, causes.loss_change, 0.25 * causes.loss_change);

  // What rounding did is a direction in which the loss of all examples is nearly flat, and that of the rare class is not.
  CurvatureOptions options = found.curvature;
  options.max_examples = 0;
  const LossOfExamples loss = loss_of_images(planted.model(), images);
  const ExamplesByGroup classes = examples_by_group(grouped_examples(images), "class");
  ExamplesByGroup groups{{"rare", classes.at(kRareName)}};
  for (int64_t i = 0; i < kPlantedImages; i += 7) groups["every seventh"].push_back(i);
  const std::vector<GroupCurvature> curvature = group_curvature(planted.model(), &found.rounded, loss, groups, options);
  ASSERT_EQ(curvature[0].group, "every seventh");
  double squares = 0;
  for (const TensorId& id : planted.model().matrices())
    squares += (found.rounded.weight(id) - planted.model().weight(id)).square().sum().item<double>();
  EXPECT_NEAR(squares, 8 * own * own, 1e-3) << "eight weights became 0, and nothing else changed";
  const auto along = [&](const GroupCurvature& group) { return 2 * group.expansion->second / squares; };
  EXPECT_GT(along(curvature[0]), 0);
  EXPECT_LT(along(curvature[0]), 1e-3 * curvature[0].top_eigenvalue);
  EXPECT_GT(along(curvature[1]), 4 * along(curvature[0]));
}

// The twin: the class is as rare, and as much evidence is rounded to nothing, but of all classes alike. Three features tell
// them apart by large weights, three others by small ones, and every class has the same of them in another order.
TEST(PlantedGroup, ARareClassOfSharedDirectionsDoesNot) {
  const auto turned = [](double a, double b, double c, double d, double e, double f, int label) -> PlantedFeatures {
    const double large[] = {a, b, c}, small[] = {d, e, f};
    PlantedFeatures all{};
    for (int i = 0; i < 3; ++i) {
      all[static_cast<size_t>((i + label) % 3)] = large[i];
      all[static_cast<size_t>(3 + (i + label) % 3)] = small[i];
    }
    return all;
  };
  std::vector<PlantedFeatures> rows;
  for (int label = 0; label < 3; ++label) rows.push_back(turned(3, -1.4, -1.4, 0.45, -0.45, 0, label));
  const PlantedModel planted("vernier_planted_null", rows, {0, 0, 0});
  const LabelledImages images = planted.images([&](int label, std::mt19937& random) {
    std::normal_distribution<double> jitter(0, 1.5);
    PlantedFeatures own = turned(5, -2.5, -2.5, 30, -30, 0, label);
    for (size_t f = 0; f < 6; ++f) own[f] += jitter(random);
    return own;
  });
  const Measured3Bit found(planted, images);

  for (const GroupResult& group : found.classes().groups) {
    const GroupValue& loss = group.figures.at("loss_nats");
    EXPECT_EQ(loss.skew.verdict, Verdict::kWithin) << group.name;
    EXPECT_GT(loss.change.value, 0.2) << group.name << ": everyone is hurt";
  }
  EXPECT_GT(found.loss_of(kRareName).null_p, 0.05);
  EXPECT_TRUE(found.loss_of(kRareName).null.contains(found.loss_of(kRareName).change.value));
  EXPECT_NE(found.classes().gaps.at("loss_nats").spread.verdict, Verdict::kExceeds);
}

}  // namespace
}  // namespace vernier
