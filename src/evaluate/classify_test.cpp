#include "vernier/classify.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>

#include "base/json.h"
#include "base/output_file.h"
#include "engine/aten_answers.h"
#include "evaluate/image_classifier.h"
#include "support/expect_error.h"
#include "support/letters_tokenizer.h"
#include "support/models.h"
#include "support/scratch.h"
#include "support/vision_models.h"
#include "vernier/grouped_answers.h"
#include "vernier/tokenizer.h"

namespace vernier {
namespace {

namespace fs = std::filesystem;

/// The tiny ViT with a preprocessor, and images of noise in two groups.
class ClassifyImages : public ::testing::Test {
 protected:
  static constexpr int kSide = 32, kImages = 5;
  fs::path folder_ = scratch_path("vernier_classify");
  std::vector<std::string> bytes_;

  void SetUp() override {
    fs::remove_all(folder_);
    fs::create_directories(folder_ / "model");
    take_model("vit");
    write_file(
        folder_ / "model/preprocessor_config.json",
        R"({"image_processor_type": "ViTImageProcessor", "do_resize": true, "size": {"height": 32, "width": 32}, "do_rescale": true, "do_normalize": true,
                   "rescale_factor": 0.00392156862745098, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.25, 0.25]})");
    std::mt19937 random(3);
    std::string manifest = "path,label,kind\n";
    for (int i = 0; i < kImages; ++i) {
      std::string& pixels = bytes_.emplace_back();
      for (int k = 0; k < 3 * kSide * kSide; ++k) pixels.push_back(static_cast<char>(random() % 256));
      write_file(folder_ / fmt::format("{}.ppm", i), fmt::format("P6\n{} {}\n255\n", kSide, kSide) + pixels);
      manifest += fmt::format("{}.ppm,LABEL_{},{}\n", i, i, i % 2 == 0 ? "even" : "odd");
    }
    write_file(folder_ / "images.csv", manifest);
  }
  void TearDown() override { fs::remove_all(folder_); }

  void take_model(const std::string& name) {
    for (const char* file : {"config.json", "model.safetensors"})
      fs::copy_file(vision_fixture(name) / file, folder_ / "model" / file, fs::copy_options::overwrite_existing);
  }

  /// The images as the preprocessor makes them, [images, 3, side, side].
  at::Tensor pixels() const {
    at::Tensor pixels = at::empty({kImages, 3, kSide, kSide});
    for (int64_t i = 0; i < kImages; ++i)
      for (int64_t k = 0; k < kSide * kSide; ++k)
        for (int64_t c = 0; c < 3; ++c) {
          const std::string& bytes = bytes_[static_cast<size_t>(i)];
          const auto byte = static_cast<uint8_t>(bytes[static_cast<size_t>(3 * k + c)]);
          pixels.data_ptr<float>()[(i * 3 + c) * kSide * kSide + k] = (static_cast<float>(byte) / 255 - 0.5f) / 0.25f;
        }
    return pixels;
  }
};

TEST_F(ClassifyImages, LogitsAreThoseOfTheModelOnTheirPixels) {
  const Model model = load_model((folder_ / "model").string());
  const std::vector<std::string> names = class_names_of(model);
  ASSERT_EQ(names.size(), 10u);
  EXPECT_EQ(names[7], "LABEL_7");
  const LabelledImages images = read_manifest(folder_ / "images.csv", names);
  const Answers answers = classify_images(model, images, {.compute = {.threads = 2}});
  const at::Tensor expected = classify(model, pixels()), nll = -expected.log_softmax(-1);
  ASSERT_EQ(answers.logits.size(), static_cast<size_t>(expected.numel()));
  const at::Tensor got = at::tensor(answers.logits).view(expected.sizes());
  EXPECT_LT(relative_distance(got, expected), 2e-5);
  for (int64_t i = 0; i < kImages; ++i) {
    EXPECT_NEAR(answers.loss_nats[static_cast<size_t>(i)], nll[i][i].item<double>(), 1e-4);
    EXPECT_EQ(answers.predicted[static_cast<size_t>(i)], expected[i].argmax().item<int64_t>());
  }
}

TEST_F(ClassifyImages, ModelsAnswerBesideTheReference) {
  const Model model = load_model((folder_ / "model").string());
  Model other = model;
  const TensorId id = model.matrices().front();
  other.set_weight(id, model.weight(id).to(at::kFloat) * 0.5);
  const LabelledImages images = read_manifest(folder_ / "images.csv", class_names_of(model));
  const std::vector<GroupedAnswers> answers = answer_images(model, {&other, &model}, images);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].unit, "image");
  EXPECT_EQ(answers[0].reference.logits, classify_images(model, images).logits);
  EXPECT_EQ(answers[0].models[0].logits, classify_images(other, images).logits);
  EXPECT_EQ(answers[0].models[1].logits, answers[0].reference.logits);
  EXPECT_EQ(answers[0].rescaled[0].predicted, answers[0].models[0].predicted) << "rescaling changes no answer";
  for (size_t i = 0; i < kImages; ++i)
    EXPECT_NEAR(answers[0].rescaled[1].loss_nats[i], answers[0].reference.loss_nats[i], 1e-5);
}

TEST_F(ClassifyImages, ClipComparesImagesWithTheMeanOfEachClassPrompts) {
  take_model("clip");
  write_file(folder_ / "model/tokenizer.json", letters_tokenizer());
  const Model model = load_model((folder_ / "model").string());
  const Tokenizer tokenizer(load_tokenizer_of(model.source().path));
  const std::vector<std::string> names{"LABEL_0", "LABEL_1", "LABEL_2", "LABEL_3", "LABEL_4"};
  const LabelledImages images = read_manifest(folder_ / "images.csv", names);
  for (const std::vector<std::string>& templates : {std::vector<std::string>{"a {}"}, {"a {}", "one big {}"}}) {
    PromptTemplates prompts;
    prompts.templates = templates;
    std::vector<std::vector<int32_t>> texts;
    for (const std::string& name : names)
      for (const std::string& prompt : prompts_of(prompts, name)) texts.push_back(tokenizer.encode(prompt));
    at::Tensor ids = at::full({static_cast<int64_t>(texts.size()), 24}, 399, at::kLong);  // padded with ends
    for (size_t t = 0; t < texts.size(); ++t) {
      ASSERT_EQ(texts[t].back(), 399);
      for (size_t k = 0; k < texts[t].size(); ++k) ids[static_cast<int64_t>(t)][static_cast<int64_t>(k)] = texts[t][k];
    }
    const ImageTextAnswers both = compare_images_with_texts(model, pixels(), ids);
    const at::Tensor mean = both.text_embeds.view({5, static_cast<int64_t>(templates.size()), -1}).mean(1);
    const at::Tensor units = mean / mean.norm(2, -1, true);
    const at::Tensor expected =
        at::matmul(both.image_embeds, units.t()) * model.weight({TensorRole::kLogitScale}).exp();
    const Answers answers = classify_images(model, images, {.prompts = prompts, .compute = {.threads = 2}});
    EXPECT_LT(relative_distance(at::tensor(answers.logits).view(expected.sizes()), expected), 2e-5);
    for (int64_t i = 0; i < kImages; ++i)
      EXPECT_NEAR(answers.loss_nats[static_cast<size_t>(i)], -expected[i].log_softmax(-1)[i].item<double>(), 1e-4);
  }
}

TEST_F(ClassifyImages, OneTowerOfClipIsRoundedAlone) {
  take_model("clip");
  write_file(folder_ / "model/tokenizer.json", letters_tokenizer());
  const Model model = load_model((folder_ / "model").string());
  const auto engine = make_engine({.threads = 1});
  const std::vector<std::string> names{"LABEL_0", "LABEL_1", "LABEL_2"};
  const auto classifier = [&](const char* activations, std::optional<Stack> rounded) {
    return ImageClassifier(model, names, {.activations = Activations::parse(activations), .rounded = rounded}, *engine);
  };
  const ImageClassifier exact = classifier("exact", {}), both = classifier("int4:token", {}),
                        image = classifier("int4:token", Stack::kImage), text = classifier("int4:token", Stack::kText);
  EXPECT_EQ(image.class_vectors(), exact.class_vectors());
  EXPECT_EQ(text.class_vectors(), both.class_vectors());
  EXPECT_NE(text.class_vectors(), exact.class_vectors());
  EXPECT_EQ(image.prepared().activations, both.prepared().activations);
  EXPECT_EQ(text.prepared().activations, Activations::kExact);
  const at::Tensor seen = pixels();
  EXPECT_NE(image.logits(0, pixels_of(seen, 0)), exact.logits(0, pixels_of(seen, 0)));
}

TEST_F(ClassifyImages, ClassesAreTheFirstAttribute) {
  const LabelledImages images = read_manifest(folder_ / "images.csv");
  const GroupedExamples examples = grouped_examples(images);
  ASSERT_EQ(examples.attributes.size(), 2u);
  EXPECT_EQ(examples.attributes[0].name, "class");
  EXPECT_EQ(examples.attributes[0].values[3], "LABEL_3");
  EXPECT_EQ(examples.attributes[1].name, "kind");
  EXPECT_EQ(examples.attributes[1].values[4], "even");
  EXPECT_EQ(examples.labels, (std::vector<int32_t>{0, 1, 2, 3, 4}));
}

TEST_F(ClassifyImages, AColumnThatRepeatsTheClassesIsNoSecondAttribute) {
  std::string manifest = "path,label,species,kind\n";
  for (int i = 0; i < kImages; ++i) manifest += fmt::format("{0}.ppm,LABEL_{0},LABEL_{0},{1}\n", i, i % 2);
  write_file(folder_ / "species.csv", manifest);
  const GroupedExamples examples = grouped_examples(read_manifest(folder_ / "species.csv"));
  ASSERT_EQ(examples.attributes.size(), 2u);
  EXPECT_EQ(examples.attributes[1].name, "kind");
  EXPECT_EQ(examples.attributes[1].values[3], "1");
}

TEST_F(ClassifyImages, WhatCannotBeClassifiedIsRefused) {
  const LabelledImages images = read_manifest(folder_ / "images.csv");  // five classes by their names
  expect_error(ErrorKind::kInvalidArgument, {"10 classes", "images have 5"},
               [&] { classify_images(load_model((folder_ / "model").string()), images); });
  expect_error(ErrorKind::kUnsupported, {"language model"}, [&] { classify_images(fixture_model("llama"), images); });
}

TEST_F(ClassifyImages, APreprocessorOfAnotherSizeIsRefusedBeforeImagesAreRead) {
  const fs::path path = folder_ / "model/preprocessor_config.json";
  write_file(path, R"({"image_processor_type": "ViTImageProcessor", "size": {"height": 60000, "width": 60000}})");
  const Model model = load_model((folder_ / "model").string());
  expect_error(ErrorKind::kBadFile, {"preprocessor_config.json", "60000 x 60000", "32 x 32"},
               [&] { classify_images(model, read_manifest(folder_ / "images.csv", class_names_of(model))); });
}

}  // namespace
}  // namespace vernier
