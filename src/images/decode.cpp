// The one file that knows the decoders of OpenCV.

#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>

#include "base/fail.h"
#include "images/image_header.h"
#include "vernier/decode_images.h"

namespace vernier {

Image decode_image(std::span<const std::byte> bytes, const std::string& origin) {
  const ImageHeader header = read_image_header(bytes, origin);
  cv::Mat decoded;
  try {
    const cv::Mat file(1, static_cast<int>(bytes.size()), CV_8U, const_cast<std::byte*>(bytes.data()));  // only read
    decoded = cv::imdecode(file, cv::IMREAD_COLOR | cv::IMREAD_IGNORE_ORIENTATION);
  } catch (const cv::Exception& e) {
    fail(ErrorKind::kBadFile, "images: {}: the {} cannot be decoded: {}", origin, header.format, e.err);
  }
  if (decoded.empty())
    fail(ErrorKind::kBadFile, "images: {}: the {} cannot be decoded; it is broken or incomplete", origin,
         header.format);
  if (decoded.cols != header.width || decoded.rows != header.height)
    fail(ErrorKind::kBadFile, "images: {}: {} x {} pixels, its header says {} x {}", origin, decoded.cols, decoded.rows,
         header.width, header.height);
  Image image{header.width, header.height, {}};
  image.rgb.reserve(static_cast<size_t>(header.width * header.height * 3));
  for (int y = 0; y < decoded.rows; ++y) {
    const uint8_t* row = decoded.ptr<uint8_t>(y);
    for (int x = 0; x < decoded.cols; ++x)
      for (const int channel : {2, 1, 0}) image.rgb.push_back(row[3 * x + channel]);  // OpenCV's order is BGR
  }
  return image;
}

Image through_jpeg(const Image& image, int quality) {
  cv::Mat bgr(static_cast<int>(image.height), static_cast<int>(image.width), CV_8UC3);
  for (int y = 0; y < bgr.rows; ++y)
    for (int x = 0; x < bgr.cols; ++x)
      for (int c = 0; c < 3; ++c)
        bgr.ptr<uint8_t>(y)[3 * x + c] = image.rgb[static_cast<size_t>((y * bgr.cols + x) * 3 + 2 - c)];
  std::vector<uint8_t> file;
  if (!cv::imencode(".jpg", bgr, file, {cv::IMWRITE_JPEG_QUALITY, quality}))
    fail(ErrorKind::kInternal, "images: an image of {} x {} could not be encoded", image.width, image.height);
  return decode_image(std::as_bytes(std::span(file)), "an image through JPEG");
}

}  // namespace vernier
