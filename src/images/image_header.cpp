#include "images/image_header.h"

#include <algorithm>
#include <string_view>

#include "base/fail.h"

namespace vernier {

namespace {

/// Bytes of a file that may end anywhere.
class HeaderBytes {
 public:
  HeaderBytes(std::span<const std::byte> bytes, const std::string& origin) : bytes_(bytes), origin_(origin) {}

  size_t size() const { return bytes_.size(); }
  int64_t at(size_t place) const {
    if (place >= bytes_.size())
      fail(ErrorKind::kBadFile, "images: {}: {} bytes, its header ends behind them; perhaps an incomplete download",
           origin_, bytes_.size());
    return std::to_integer<int64_t>(bytes_[place]);
  }
  bool begins(std::string_view with, size_t place = 0) const {
    if (place + with.size() > bytes_.size()) return false;
    for (size_t i = 0; i < with.size(); ++i)
      if (at(place + i) != static_cast<unsigned char>(with[i])) return false;
    return true;
  }
  int64_t big_endian(size_t place, size_t count) const {
    int64_t value = 0;
    for (size_t i = 0; i < count; ++i) value = value << 8 | at(place + i);
    return value;
  }
  int64_t little_endian(size_t place, size_t count) const {
    int64_t value = 0;
    for (size_t i = count; i > 0; --i) value = value << 8 | at(place + i - 1);
    return value;
  }

 private:
  std::span<const std::byte> bytes_;
  const std::string& origin_;
};

/// From segment to segment to the frame's, SOF0 to SOF15 without DHT, JPG and DAC.
ImageHeader jpeg_header(const HeaderBytes& bytes, const std::string& origin) {
  for (size_t place = 2;;) {
    if (bytes.at(place) != 0xFF) fail(ErrorKind::kBadFile, "images: {}: byte {}: no segment of JPEG", origin, place);
    const int64_t marker = bytes.at(place + 1);
    if (marker == 0xFF || marker == 0x01 || (marker >= 0xD0 && marker <= 0xD8)) {
      place += marker == 0xFF ? 1 : 2;  // padding, and markers without a length
      continue;
    }
    if (marker == 0xD9 || marker == 0xDA)
      fail(ErrorKind::kBadFile, "images: {}: byte {}: a JPEG without a frame", origin, place);
    if (marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC)
      return {"JPEG", bytes.big_endian(place + 7, 2), bytes.big_endian(place + 5, 2)};
    place += 2 + static_cast<size_t>(std::max<int64_t>(bytes.big_endian(place + 2, 2), 2));
  }
}

/// Chunk by chunk to the last one, so that what is missing is told before a decoder starts.
ImageHeader png_header(const HeaderBytes& bytes) {
  const ImageHeader header{"PNG", bytes.big_endian(16, 4), bytes.big_endian(20, 4)};
  size_t place = 8;
  while (!bytes.begins("IEND", place + 4)) place += 12 + static_cast<size_t>(bytes.big_endian(place, 4));
  return header;
}

/// "P6 # comment\n32 32 255"
ImageHeader pnm_header(const HeaderBytes& bytes) {
  size_t place = 2;
  const auto number = [&] {
    for (; bytes.at(place) < '0' || bytes.at(place) > '9'; ++place)
      if (bytes.at(place) == '#')
        while (bytes.at(place) != '\n') ++place;
    int64_t value = 0;
    for (; bytes.at(place) >= '0' && bytes.at(place) <= '9'; ++place)
      value = std::min(value * 10 + bytes.at(place) - '0', kMostPixels + 1);
    return value;
  };
  const int64_t width = number();
  return {"PNM", width, number()};
}

ImageHeader webp_header(const HeaderBytes& bytes, const std::string& origin) {
  bytes.at(static_cast<size_t>(bytes.little_endian(4, 4) + 7));  // the last byte that it says it has
  if (bytes.begins("VP8X", 12)) return {"WebP", bytes.little_endian(24, 3) + 1, bytes.little_endian(27, 3) + 1};
  if (bytes.begins("VP8L", 12)) {
    const int64_t bits = bytes.little_endian(21, 4);
    return {"WebP", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1};
  }
  if (bytes.begins("VP8 ", 12))
    return {"WebP", bytes.little_endian(26, 2) & 0x3FFF, bytes.little_endian(28, 2) & 0x3FFF};
  fail(ErrorKind::kBadFile, "images: {}: a WebP without a picture", origin);
}

ImageHeader bmp_header(const HeaderBytes& bytes) {
  if (bytes.little_endian(14, 4) == 12) return {"BMP", bytes.little_endian(18, 2), bytes.little_endian(20, 2)};
  const auto height = static_cast<int32_t>(bytes.little_endian(22, 4));  // negative: rows from the top
  return {"BMP", static_cast<int32_t>(bytes.little_endian(18, 4)), std::abs(static_cast<int64_t>(height))};
}

ImageHeader header_of(const HeaderBytes& bytes, const std::string& origin) {
  if (bytes.begins("\xFF\xD8\xFF")) return jpeg_header(bytes, origin);
  if (bytes.begins("\x89PNG\r\n\x1A\n")) return png_header(bytes);
  if (bytes.begins("BM")) return bmp_header(bytes);
  if (bytes.begins("RIFF") && bytes.begins("WEBP", 8)) return webp_header(bytes, origin);
  if (bytes.size() > 2 && bytes.begins("P") && bytes.at(1) >= '1' && bytes.at(1) <= '6') return pnm_header(bytes);
  fail(bytes.size() < 12 ? ErrorKind::kBadFile : ErrorKind::kUnsupported,
       "images: {}: {} bytes of no known format; supported are JPEG, PNG, BMP, PNM and WebP", origin, bytes.size());
}

}  // namespace

ImageHeader read_image_header(std::span<const std::byte> bytes, const std::string& origin) {
  const ImageHeader header = header_of({bytes, origin}, origin);
  if (header.width < 1 || header.height < 1 || header.width > kMostPixels / header.height)
    fail(ErrorKind::kBadFile, "images: {}: {} of {} x {} pixels, expected 1 to {} in all", origin, header.format,
         header.width, header.height, kMostPixels);
  constexpr std::byte kEnd[] = {std::byte{0xFF}, std::byte{0xD9}};
  if (header.format == std::string_view("JPEG") &&
      std::find_end(bytes.begin(), bytes.end(), std::begin(kEnd), std::end(kEnd)) == bytes.end())
    fail(ErrorKind::kBadFile, "images: {}: the JPEG has no end; perhaps an incomplete download", origin);
  return header;
}

}  // namespace vernier
