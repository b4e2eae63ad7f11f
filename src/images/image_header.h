#pragma once

// What the first bytes of an image file say, read before any decoder allocates for it.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace vernier {

struct ImageHeader {
  const char* format = "";  ///< "JPEG", "PNG", "BMP", "PNM", "WebP"
  int64_t width = 0, height = 0;
};

/// More pixels than any photograph that a classifier is asked about.
inline constexpr int64_t kMostPixels = 100'000'000;

/// Also looks for the end of JPEG, PNG and WebP files, since decoders make up what is missing.
/// @throws Error{kBadFile} naming `origin` for what is too short, incomplete, without pixels or has more than kMostPixels;
///         Error{kUnsupported} for other formats
ImageHeader read_image_header(std::span<const std::byte> bytes, const std::string& origin);

}  // namespace vernier
