#pragma once

// Pixels as a vision model sees them: resized, cropped and normalized as its preprocessor_config.json says, with PIL's own
// arithmetic, so that values are those of Hugging Face's image processors. decode_images.h reads the files.
//
//   const ImagePreprocessor preprocessor = load_image_preprocessor("vit-5m-cifar10");
//   const std::vector<float> pixels = pixel_values(image, preprocessor);  // [3, 32, 32]

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vernier {

struct Image {
  int64_t width = 0, height = 0;
  std::vector<uint8_t> rgb;  ///< [height, width, 3]
};

/// PIL's numbers, which preprocessor_config.json calls `resample`.
enum class ResizeFilter { kNearest = 0, kLanczos = 1, kBilinear = 2, kBicubic = 3, kBox = 4, kHamming = 5 };

/// Bit for bit Image.resize of an RGB image by Pillow 13 (libImaging/Resample.c: antialiased, 22-bit fixed-point weights,
/// rounded to 8 bits between the passes). Earlier versions went over the columns last in any case, which single values
/// notice in their last bit.
/// @throws Error{kInvalidArgument} for sizes outside of 1 to 65,535 and an image of another size than its pixels
Image resize_image(const Image& image, int64_t width, int64_t height, ResizeFilter filter);

/// The middle of an image. What lies outside of it is black.
Image center_crop(const Image& image, int64_t width, int64_t height);

struct ImageSize {
  int64_t width = 0, height = 0;
  bool operator==(const ImageSize&) const = default;
};

/// What preprocessor_config.json says, in the order in which it is done.
struct ImagePreprocessor {
  std::optional<int64_t> shortest_edge = {};  ///< resize so that the shorter side is this long, the longer rounded down
  std::optional<ImageSize> exact_size = {};   ///< or to this size, whatever the proportions
  ResizeFilter filter = ResizeFilter::kBilinear;
  std::optional<ImageSize> crop = {};
  double rescale = 1;  ///< factor of the 8-bit values
  std::array<double, 3> mean{0, 0, 0}, deviation{1, 1, 1};

  /// Size of every image's pixels; none where it depends on the image.
  std::optional<ImageSize> output_size() const;
};

/// Of the processors of CLIP, ViT and DeiT, old spellings included (`size` and `crop_size` as numbers; `feature_extractor_type`).
/// Their defaults hold for absent keys.
/// @throws Error{kBadFile} naming the key; Error{kUnsupported} for other processors and for steps that are not known
ImagePreprocessor parse_image_preprocessor(std::string_view json, const std::string& origin);
/// `folder`/preprocessor_config.json. @throws Error{kIo} and as above
ImagePreprocessor load_image_preprocessor(const std::filesystem::path& folder);

/// The 8-bit part: resized and cropped. @throws Error{kInvalidArgument} as resize_image
Image shaped_image(const Image& image, const ImagePreprocessor& preprocessor);
/// The rest: rescaled and normalized. @return [3, height, width], channels in the order red, green, blue
std::vector<float> normalized_pixels(const Image& image, const ImagePreprocessor& preprocessor);
/// Both. @throws Error{kInvalidArgument} as resize_image
std::vector<float> pixel_values(const Image& image, const ImagePreprocessor& preprocessor);

}  // namespace vernier
