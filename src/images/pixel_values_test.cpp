#include <gmock/gmock.h>

#include <cmath>

#include "base/output_file.h"
#include "support/expect_error.h"
#include "support/image_fixtures.h"

namespace vernier {
namespace {

using ::testing::ElementsAre;

// Both compute in float32 from the same bytes: nothing may differ but the last bit of a division.
TEST(PixelValues, AreHuggingFaces) {
  const ImageFixtures fixtures;
  const auto names = fixtures.names("pixels/");
  ASSERT_EQ(names.size(), 50u);
  for (const std::string& name : names) {
    const std::string config = name.substr(0, name.find('/')), file = name.substr(name.find('/') + 1);
    const std::filesystem::path path = kImageFixtures / "configs" / (config + ".json");
    const ImagePreprocessor preprocessor = parse_image_preprocessor(read_file(path), path.string());
    const std::vector<float> values = pixel_values(fixtures.image("rgb/" + file), preprocessor);
    const std::vector<float> expected = fixtures.values("pixels/" + name);
    ASSERT_EQ(values.size(), expected.size()) << name;
    double greatest = 0;
    for (size_t i = 0; i < values.size(); ++i) greatest = std::max<double>(greatest, std::abs(values[i] - expected[i]));
    EXPECT_LE(greatest, 1e-6) << name;
  }
}

TEST(CenterCrop, OddDifferencesLieAsInHuggingFace) {
  Image image{3, 1, {1, 1, 1, 2, 2, 2, 3, 3, 3}};
  EXPECT_THAT(center_crop(image, 2, 1).rgb, ElementsAre(1, 1, 1, 2, 2, 2));
  EXPECT_THAT(center_crop(image, 1, 1).rgb, ElementsAre(2, 2, 2));
  EXPECT_THAT(center_crop(image, 4, 1).rgb, ElementsAre(0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3));
  EXPECT_THAT(center_crop(image, 1, 2).rgb, ElementsAre(0, 0, 0, 2, 2, 2));
}

TEST(ImagePreprocessor, DefaultsAreThoseOfTheClass) {
  const ImagePreprocessor clip = parse_image_preprocessor(R"({"image_processor_type": "CLIPImageProcessorFast"})", "p");
  EXPECT_EQ(clip.shortest_edge, 224);
  EXPECT_EQ(clip.crop, (ImageSize{224, 224}));
  EXPECT_EQ(clip.output_size(), (ImageSize{224, 224}));
  EXPECT_EQ(clip.filter, ResizeFilter::kBicubic);
  EXPECT_NEAR(clip.mean[0], 0.48145466, 1e-12);
  const ImagePreprocessor vit = parse_image_preprocessor(
      R"({"feature_extractor_type": "ViTFeatureExtractor", "size": 64, "do_pad": false})", "p");
  EXPECT_EQ(vit.exact_size, (ImageSize{64, 64}));
  EXPECT_FALSE(vit.crop || vit.shortest_edge);
  EXPECT_EQ(vit.filter, ResizeFilter::kBilinear);
  const ImagePreprocessor off = parse_image_preprocessor(
      R"({"image_processor_type": "CLIPImageProcessor", "do_resize": false, "do_center_crop": false, "do_rescale": false, "do_normalize": false})",
      "p");
  EXPECT_FALSE(off.output_size() || off.shortest_edge);
  EXPECT_EQ(off.rescale, 1);
  EXPECT_EQ(off.mean[1], 0);
  EXPECT_EQ(off.deviation[1], 1);
}

TEST(ImagePreprocessor, WhatIsNotKnownIsRefusedByName) {
  const auto refused = [](const std::string& more, ErrorKind kind, const std::vector<std::string>& parts) {
    expect_error(kind, parts, [&] {
      parse_image_preprocessor(R"({"image_processor_type": "ViTImageProcessor")" + more + "}", "p.json");
    });
  };
  refused(R"(, "do_pad": true)", ErrorKind::kUnsupported, {"p.json", "do_pad"});
  refused(R"(, "crop_pct": 0.9)", ErrorKind::kUnsupported, {"crop_pct"});
  refused(R"(, "size": {"longest_edge": 9})", ErrorKind::kUnsupported, {"longest_edge"});
  refused(R"(, "size": {"height": 0, "width": 3})", ErrorKind::kBadFile, {"height"});
  refused(R"(, "size": 1e9)", ErrorKind::kBadFile, {"size"});
  refused(R"(, "crop_size": {"shortest_edge": 3})", ErrorKind::kUnsupported, {"crop_size"});
  refused(R"(, "resample": 6)", ErrorKind::kBadFile, {"resample"});
  refused(R"(, "image_mean": [1, 2])", ErrorKind::kBadFile, {"image_mean", "3 numbers"});
  refused(R"(, "image_std": [1, 0, 1])", ErrorKind::kBadFile, {"image_std"});
  refused(R"(, "do_resize": 1)", ErrorKind::kBadFile, {"do_resize"});
  expect_error(ErrorKind::kUnsupported, {"ConvNextImageProcessor", "CLIP, ViT and DeiT"},
               [] { parse_image_preprocessor(R"({"image_processor_type": "ConvNextImageProcessor"})", "p"); });
  expect_error(ErrorKind::kBadFile, {"feature_extractor_type"}, [] { parse_image_preprocessor("{}", "p"); });
  expect_error(ErrorKind::kBadFile, {"object"}, [] { parse_image_preprocessor("[]", "p"); });
  expect_error(ErrorKind::kIo, {"preprocessor_config.json"}, [] { load_image_preprocessor("/nowhere"); });
}

}  // namespace
}  // namespace vernier
