#pragma once

// What nature does to images: the corruptions of ImageNet-C and CIFAR-10-C (Hendrycks & Dietterich 2019, arXiv 1903.12261)
// at five severities, as rows, and occlusion. Equal seeds give equal images on every machine.
//
//   const Corruption& fog = find_corruption("fog");
//   const Image foggy = corrupt(image, fog, 3, 1);

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "vernier/images.h"

namespace vernier {

/// What an operator is parametrised by, in the order of its authors' script; unused ones are 0.
struct CorruptionConstants {
  double a = 0, b = 0, c = 0;
};

/// Encodes as JPEG of a quality of 1 to 100 and decodes again. The core has no codec; decode_images.h does.
using JpegCodec = std::function<Image(const Image&, int quality)>;

inline constexpr int kSeverities = 5;

struct Corruption {
  std::string_view key, name;
  std::string_view family;                             ///< "noise", "blur", "weather", "digital"
  std::array<CorruptionConstants, kSeverities> small;  ///< CIFAR-10-C's, for sides of at most kLargestSmallSide
  std::array<CorruptionConstants, kSeverities> large;  ///< ImageNet-C's, for sides of about 224
  bool random = false;
};

inline constexpr int64_t kLargestSmallSide = 96;

/// Gaussian, shot, impulse, speckle noise; defocus, motion, zoom, gaussian blur; contrast, brightness, fog, jpeg, pixelate,
/// elastic, saturate, occlusion. What differs from the authors' script: the generator of random numbers; motion blur by
/// ImageMagick's kernel in float64; elastic's affine part interpolates exactly, where OpenCV rounds to 1/32 pixel.
/// Occlusion is a grey square at a random place, a fifth to three fifths of the shorter side (as Cutout, arXiv 1708.04552).
const std::vector<Corruption>& corruptions();
/// @throws Error{kInvalidArgument} listing those that exist
const Corruption& find_corruption(std::string_view key);

/// @param severity 1 to 5
/// @param seed of what is drawn: one per image, corruption and severity (corruption_seed)
/// @return values are rounded down to 8 bits, as the published data sets are
/// @throws Error{kInvalidArgument} for other severities and an image of another size than its pixels; {kUnsupported} for
///         jpeg without a codec
Image corrupt(const Image& image, const Corruption& corruption, int severity, uint64_t seed,
              const JpegCodec& jpeg = {});

/// A seed that shares nothing with those of other images, corruptions and severities.
uint64_t corruption_seed(uint64_t seed, int64_t image, std::string_view corruption, int severity);

}  // namespace vernier
