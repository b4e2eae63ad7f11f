#include "images/image_header.h"

#include <gtest/gtest.h>

#include "base/output_file.h"
#include "support/expect_error.h"
#include "support/image_fixtures.h"

namespace vernier {
namespace {

ImageHeader header_of(const std::string& bytes) { return read_image_header(std::as_bytes(std::span(bytes)), "x.img"); }

TEST(ImageHeader, OfEveryFormat) {
  const ImageFixtures fixtures;
  for (const std::string& name : fixtures.names("rgb/")) {
    const ImageHeader header = header_of(read_file(kImageFixtures / name));
    const Image image = fixtures.image("rgb/" + name);
    EXPECT_EQ(header.width, image.width) << name;
    EXPECT_EQ(header.height, image.height) << name;
  }
}

// Every start of every file is refused or read, without a step beyond its end (the sanitizers would tell).
TEST(ImageHeader, AnyStartOfAFile) {
  const ImageFixtures fixtures;
  for (const std::string& name : fixtures.names("rgb/")) {
    const std::string whole = read_file(kImageFixtures / name);
    for (size_t length = 0; length < std::min<size_t>(whole.size(), 700); ++length) {
      const std::vector<char> exact(whole.begin(), whole.begin() + static_cast<int64_t>(length));
      try {
        read_image_header(std::as_bytes(std::span(exact)), name);
      } catch (const Error& e) {
        EXPECT_TRUE(e.kind() == ErrorKind::kBadFile || e.kind() == ErrorKind::kUnsupported) << e.what();
      }
    }
  }
}

TEST(ImageHeader, HostileSizesAreRefused) {
  std::string png = read_file(kImageFixtures / "wave.png");
  png.replace(16, 8, "\x7F\xFF\xFF\xFF\x7F\xFF\xFF\xFF", 8);
  expect_error(ErrorKind::kBadFile, {"x.img", "PNG", "2147483647", "100000000"}, [&] { header_of(png); });
  std::string endless = read_file(kImageFixtures / "wave.png");
  endless.replace(33, 4, "\xFF\xFF\xFF\xFF", 4);
  expect_error(ErrorKind::kBadFile, {"header ends behind"}, [&] { header_of(endless); });
  png.replace(16, 8, std::string(8, '\0'));
  expect_error(ErrorKind::kBadFile, {"0 x 0"}, [&] { header_of(png); });
  expect_error(ErrorKind::kBadFile, {"PNM"}, [] { header_of("P6\n99999999999999999999999 2\n255\n"); });
  std::string bmp = read_file(kImageFixtures / "wave.bmp");
  bmp.replace(22, 4, "\x00\x00\x00\x80", 4);  // the most negative height has no positive counterpart in 32 bits
  expect_error(ErrorKind::kBadFile, {"BMP", "2147483648"}, [&] { header_of(bmp); });
}

TEST(ImageHeader, WhatIsNoImage) {
  expect_error(ErrorKind::kUnsupported, {"x.img", "JPEG, PNG"}, [] { header_of("GIF89a, which is not decoded"); });
  expect_error(ErrorKind::kBadFile, {"0 bytes"}, [] { header_of(""); });
  expect_error(ErrorKind::kBadFile, {"no end"}, [] { header_of(read_file(kImageFixtures / "truncated.jpg")); });
  expect_error(ErrorKind::kBadFile, {"no segment"},
               [] { header_of("\xFF\xD8\xFF\xE0" + std::string("\0\x02zzzzzzzz", 10)); });
  expect_error(ErrorKind::kBadFile, {"without a frame"}, [] { header_of("\xFF\xD8\xFF\xD9 and nothing else"); });
}

}  // namespace
}  // namespace vernier
