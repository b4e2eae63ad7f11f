// What transformers' CLIPImageProcessor, ViTImageProcessor and DeiTImageProcessor do with an image that PIL has opened.

#include <algorithm>
#include <cmath>

#include "base/fail.h"
#include "vernier/images.h"

namespace vernier {

namespace {

ImageSize by_shortest_edge(const Image& image, int64_t edge) {
  const int64_t shorter = std::min(image.width, image.height), longer = std::max(image.width, image.height);
  // As Python computes int(size * long / short): in doubles, rounded down.
  const auto other = static_cast<int64_t>(static_cast<double>(edge * longer) / static_cast<double>(shorter));
  return image.width <= image.height ? ImageSize{edge, other} : ImageSize{other, edge};
}

}  // namespace

std::optional<ImageSize> ImagePreprocessor::output_size() const { return crop ? crop : exact_size; }

Image center_crop(const Image& image, int64_t width, int64_t height) {
  Image result{width, height, std::vector<uint8_t>(static_cast<size_t>(width * height * 3))};
  // Of an odd difference the smaller half lies in front where pixels go, and the greater one where black is added.
  const auto offset = [](int64_t from, int64_t to) { return from >= to ? (from - to) / 2 : -((to - from + 1) / 2); };
  const int64_t left = offset(image.width, width), top = offset(image.height, height);
  for (int64_t y = std::max<int64_t>(0, -top); y < std::min(height, image.height - top); ++y) {
    const int64_t first = std::max<int64_t>(0, -left), end = std::min(width, image.width - left);
    std::copy_n(image.rgb.begin() + ((y + top) * image.width + first + left) * 3, (end - first) * 3,
                result.rgb.begin() + (y * width + first) * 3);
  }
  return result;
}

Image shaped_image(const Image& image, const ImagePreprocessor& preprocessor) {
  Image seen = image;
  if (preprocessor.shortest_edge || preprocessor.exact_size) {
    const ImageSize size =
        preprocessor.exact_size ? *preprocessor.exact_size : by_shortest_edge(image, *preprocessor.shortest_edge);
    seen = resize_image(image, size.width, size.height, preprocessor.filter);
  }
  if (preprocessor.crop) seen = center_crop(seen, preprocessor.crop->width, preprocessor.crop->height);
  return seen;
}

std::vector<float> normalized_pixels(const Image& image, const ImagePreprocessor& preprocessor) {
  const int64_t pixels = image.width * image.height;
  std::vector<float> values(static_cast<size_t>(pixels * 3));
  for (size_t c = 0; c < 3; ++c) {
    // In float32, step by step, as NumPy does it.
    const auto mean = static_cast<float>(preprocessor.mean[c]),
               deviation = static_cast<float>(preprocessor.deviation[c]);
    for (int64_t i = 0; i < pixels; ++i) {
      const auto value = static_cast<float>(image.rgb[static_cast<size_t>(i * 3) + c] * preprocessor.rescale);
      values[c * static_cast<size_t>(pixels) + static_cast<size_t>(i)] = (value - mean) / deviation;
    }
  }
  return values;
}

std::vector<float> pixel_values(const Image& image, const ImagePreprocessor& preprocessor) {
  return normalized_pixels(shaped_image(image, preprocessor), preprocessor);
}

}  // namespace vernier
