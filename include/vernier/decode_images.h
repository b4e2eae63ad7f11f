#pragma once

// Image files as pixels: JPEG, PNG, BMP, PNM and WebP.
//
//   const Image image = read_image("cat.jpg");
//   const std::vector<float> batch = load_pixel_values(paths, preprocessor, threads);  // [paths, 3, height, width]

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "vernier/images.h"
#include "vernier/progress.h"

namespace vernier {

/// 8-bit RGB, as PIL's convert("RGB"): grey is repeated, transparency is dropped, palettes are looked up; the orientation
/// that a camera noted is not applied. `origin` names the bytes in messages.
/// @throws Error{kBadFile} for broken, incomplete and oversized files (above 100 million pixels, before anything is
///         allocated); Error{kUnsupported} for other formats
Image decode_image(std::span<const std::byte> bytes, const std::string& origin);

/// @throws Error{kIo} and as decode_image
Image read_image(const std::filesystem::path& path);

/// What JPEG at a quality of 1 to 100 leaves of an image, chroma at half the resolution as PIL writes it.
/// @throws Error{kUnsupported} in a build without OpenCV
Image through_jpeg(const Image& image, int quality);

/// Reads, decodes and preprocesses on `threads` threads. @return [paths, 3, height, width], in the order of `paths`
/// @throws Error as read_image, naming the file; {kInvalidArgument} for a preprocessor whose sizes depend on the image
std::vector<float> load_pixel_values(std::span<const std::filesystem::path> paths,
                                     const ImagePreprocessor& preprocessor, int threads,
                                     ProgressSink* progress = nullptr);

}  // namespace vernier
