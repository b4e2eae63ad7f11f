#include <gtest/gtest.h>

#include <cstdio>

#include "support/expect_error.h"
#include "support/image_fixtures.h"

namespace vernier {
namespace {

TEST(ResizeImage, IsPillowsBitForBit) {
  const ImageFixtures fixtures;
  const Image wave = fixtures.image("rgb/wave.png");
  const auto names = fixtures.names("resized/");
  ASSERT_EQ(names.size(), 36u);
  for (const std::string& name : names) {
    int filter = 0, width = 0, height = 0;
    ASSERT_EQ(std::sscanf(name.c_str(), "%d/%dx%d", &filter, &width, &height), 3);
    const Image resized = resize_image(wave, width, height, static_cast<ResizeFilter>(filter));
    EXPECT_EQ(resized.rgb, fixtures.image("resized/" + name).rgb) << name;
    EXPECT_EQ(resized.width, width);
    EXPECT_EQ(resized.height, height);
  }
}

TEST(ResizeImage, OneColourStays) {
  const Image grey{40, 30, std::vector<uint8_t>(40 * 30 * 3, 77)};
  for (const ResizeFilter filter : {ResizeFilter::kNearest, ResizeFilter::kLanczos, ResizeFilter::kBilinear,
                                    ResizeFilter::kBicubic, ResizeFilter::kBox, ResizeFilter::kHamming})
    EXPECT_EQ(resize_image(grey, 7, 55, filter).rgb, std::vector<uint8_t>(7 * 55 * 3, 77));
}

TEST(ResizeImage, SizesAreChecked) {
  const Image image{2, 2, std::vector<uint8_t>(12)};
  expect_error(ErrorKind::kInvalidArgument, {"0 x 2"}, [&] { resize_image(image, 0, 2, ResizeFilter::kBox); });
  expect_error(ErrorKind::kInvalidArgument, {"65536"}, [&] { resize_image(image, 65536, 2, ResizeFilter::kBox); });
  expect_error(ErrorKind::kInvalidArgument, {"65535 x 65535", "100000000"},
               [&] { resize_image(image, 65535, 65535, ResizeFilter::kBicubic); });
  const Image broken{2, 3, std::vector<uint8_t>(12)};
  expect_error(ErrorKind::kInvalidArgument, {"12 bytes", "2 x 3"},
               [&] { resize_image(broken, 2, 2, ResizeFilter::kNearest); });
}

}  // namespace
}  // namespace vernier
