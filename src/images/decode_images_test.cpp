#include "vernier/decode_images.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/output_file.h"
#include "support/expect_error.h"
#include "support/image_fixtures.h"

namespace vernier {
namespace {

// Both decode JPEG by libjpeg-turbo's exact integer transform.
TEST(DecodeImages, PixelsArePillows) {
  const ImageFixtures fixtures;
  const auto names = fixtures.names("rgb/");
  ASSERT_EQ(names.size(), 10u);
  for (const std::string& name : names) {
    const Image image = read_image(kImageFixtures / name), expected = fixtures.image("rgb/" + name);
    EXPECT_EQ(image.width, expected.width) << name;
    EXPECT_EQ(image.rgb, expected.rgb) << name;
  }
}

TEST(DecodeImages, BrokenFilesAreNamed) {
  expect_error(ErrorKind::kBadFile, {"truncated.jpg"}, [] { read_image(kImageFixtures / "truncated.jpg"); });
  expect_error(ErrorKind::kBadFile, {"truncated.png", "incomplete"},
               [] { read_image(kImageFixtures / "truncated.png"); });
  expect_error(ErrorKind::kUnsupported, {"PROVENANCE.md"}, [] { read_image(kImageFixtures / "PROVENANCE.md"); });
  expect_error(ErrorKind::kIo, {"absent.png"}, [] { read_image(kImageFixtures / "absent.png"); });
  for (const char* name : {"wave.bmp", "wave.ppm", "wave.webp", "progressive.jpg", "palette.png"}) {
    const std::string whole = read_file(kImageFixtures / name), half = whole.substr(0, whole.size() / 2);
    expect_error(ErrorKind::kBadFile, {name}, [&] { decode_image(std::as_bytes(std::span(half)), name); });
  }
  std::string png = read_file(kImageFixtures / "wave.png");
  for (size_t i = 60; i < png.size(); i += 7) png[i] = static_cast<char>(png[i] ^ 0x55);
  expect_error(ErrorKind::kBadFile, {"x.png"}, [&] { decode_image(std::as_bytes(std::span(png)), "x.png"); });
}

TEST(DecodeImages, ABatchIsItsImagesWhateverTheThreads) {
  const ImageFixtures fixtures;
  const ImagePreprocessor preprocessor =
      parse_image_preprocessor(read_file(kImageFixtures / "configs/clip32.json"), "clip32.json");
  std::vector<std::filesystem::path> paths;
  std::vector<float> expected;
  for (const std::string& name : fixtures.names("rgb/")) {
    paths.push_back(kImageFixtures / name);
    const std::vector<float> values = fixtures.values("pixels/clip32/" + name);
    expected.insert(expected.end(), values.begin(), values.end());
  }
  for (const int threads : {1, 3}) {
    const std::vector<float> batch = load_pixel_values(paths, preprocessor, threads);
    ASSERT_EQ(batch.size(), expected.size());
    for (size_t i = 0; i < batch.size(); ++i) ASSERT_NEAR(batch[i], expected[i], 1e-6) << i;
  }
  paths.push_back(kImageFixtures / "truncated.png");
  expect_error(ErrorKind::kBadFile, {"truncated.png"}, [&] { load_pixel_values(paths, preprocessor, 3); });
  expect_error(ErrorKind::kInvalidArgument, {"crop_size"}, [&] { load_pixel_values(paths, ImagePreprocessor{}, 1); });
}

}  // namespace
}  // namespace vernier
