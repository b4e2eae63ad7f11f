// In place of decode.cpp where OpenCV was not found.

#include "base/fail.h"
#include "images/image_header.h"
#include "vernier/decode_images.h"

namespace vernier {

Image decode_image(std::span<const std::byte> bytes, const std::string& origin) {
  const ImageHeader header = read_image_header(bytes, origin);
  fail(ErrorKind::kUnsupported,
       "images: {}: this build decodes no {}: OpenCV was not found; install libopencv-core-dev and "
       "libopencv-imgcodecs-dev and build again",
       origin, header.format);
}

Image through_jpeg(const Image&, int) {
  fail(ErrorKind::kUnsupported,
       "images: this build encodes no JPEG: OpenCV was not found; install libopencv-core-dev and "
       "libopencv-imgcodecs-dev and build again, or leave jpeg out");
}

}  // namespace vernier
