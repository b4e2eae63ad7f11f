#include "vernier/corruptions.h"

#include <algorithm>

#include "base/fail.h"
#include "corruptions/operators.h"

namespace vernier {

namespace {

using Constants = std::array<CorruptionConstants, kSeverities>;

Image pixelated(const Image& image, double share) {
  const auto part = [&](int64_t size) {
    return std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(size) * share));
  };
  return resize_image(resize_image(image, part(image.width), part(image.height), ResizeFilter::kBox), image.width,
                      image.height, ResizeFilter::kBox);
}

Image through_codec(const Image& image, double quality, const JpegCodec& jpeg) {
  if (!jpeg)
    fail(ErrorKind::kUnsupported, "corruptions: jpeg needs a codec, which this build lacks; leave it out of the list");
  return jpeg(image, static_cast<int>(quality));
}

/// A corruption with what carries it out: `pixels` or, on 8 bits, `image`.
struct CorruptionRow {
  Corruption facts;
  PictureOperator pixels = nullptr;
  Image (*image)(const Image& image, double a, const JpegCodec& jpeg) = nullptr;
};

const std::vector<CorruptionRow>& corruption_rows() {
  // Constants: make_cifar_c.py and make_imagenet_c.py of github.com/hendrycks/robustness. Elastic's in shares of 32 and 244
  // pixels.
  constexpr Constants kOcclusion{{{.2}, {.3}, {.4}, {.5}, {.6}}};
  static const std::vector<CorruptionRow> rows{
      {{"gaussian_noise", "gaussian noise", "noise", Constants{{{.04}, {.06}, {.08}, {.09}, {.10}}},
        Constants{{{.08}, {.12}, {.18}, {.26}, {.38}}}, true},
       gaussian_noise},
      {{"shot_noise", "shot noise", "noise", Constants{{{500}, {250}, {100}, {75}, {50}}},
        Constants{{{60}, {25}, {12}, {5}, {3}}}, true},
       shot_noise},
      {{"impulse_noise", "impulse noise", "noise", Constants{{{.01}, {.02}, {.03}, {.05}, {.07}}},
        Constants{{{.03}, {.06}, {.09}, {.17}, {.27}}}, true},
       impulse_noise},
      {{"speckle_noise", "speckle noise", "noise", Constants{{{.06}, {.1}, {.12}, {.16}, {.2}}},
        Constants{{{.15}, {.2}, {.35}, {.45}, {.6}}}, true},
       speckle_noise},
      {{"defocus_blur", "defocus blur", "blur", Constants{{{.3, .4}, {.4, .5}, {.5, .6}, {1, .2}, {1.5, .1}}},
        Constants{{{3, .1}, {4, .5}, {6, .5}, {8, .5}, {10, .5}}}, false},
       defocus_blur},
      {{"motion_blur", "motion blur", "blur", Constants{{{6, 1}, {6, 1.5}, {6, 2}, {8, 2}, {9, 2.5}}},
        Constants{{{10, 3}, {15, 5}, {15, 8}, {15, 12}, {20, 15}}}, true},
       motion_blur},
      {{"zoom_blur", "zoom blur", "blur", Constants{{{1.06, .01}, {1.11, .01}, {1.16, .01}, {1.21, .01}, {1.26, .01}}},
        Constants{{{1.11, .01}, {1.16, .01}, {1.21, .02}, {1.26, .02}, {1.31, .03}}}, false},
       zoom_blur},
      {{"gaussian_blur", "gaussian blur", "blur", Constants{{{.4}, {.6}, {.7}, {.8}, {1}}},
        Constants{{{1}, {2}, {3}, {4}, {6}}}, false},
       gaussian_blur},
      {{"contrast", "contrast", "digital", Constants{{{.75}, {.5}, {.4}, {.3}, {.15}}},
        Constants{{{.4}, {.3}, {.2}, {.1}, {.05}}}, false},
       contrast},
      {{"brightness", "brightness", "weather", Constants{{{.05}, {.1}, {.15}, {.2}, {.3}}},
        Constants{{{.1}, {.2}, {.3}, {.4}, {.5}}}, false},
       brightness},
      {{"fog", "fog", "weather", Constants{{{.2, 3}, {.5, 3}, {.75, 2.5}, {1, 2}, {1.5, 1.75}}},
        Constants{{{1.5, 2}, {2, 2}, {2.5, 1.7}, {2.5, 1.5}, {3, 1.4}}}, true},
       fog},
      {{"jpeg", "JPEG", "digital", Constants{{{80}, {65}, {58}, {50}, {40}}}, Constants{{{25}, {18}, {15}, {10}, {7}}},
        false},
       nullptr,
       through_codec},
      {{"pixelate", "pixelate", "digital", Constants{{{.95}, {.9}, {.85}, {.75}, {.65}}},
        Constants{{{.6}, {.5}, {.4}, {.3}, {.25}}}, false},
       nullptr,
       [](const Image& image, double a, const JpegCodec&) { return pixelated(image, a); }},
      {{"elastic", "elastic", "digital",
        Constants{{{0, 0, .08}, {.05, .2, .07}, {.08, .06, .06}, {.1, .04, .05}, {.1, .03, .03}}},
        Constants{{{2, .7, .1}, {2, .08, .2}, {.05, .01, .02}, {.07, .01, .02}, {.12, .01, .02}}}, true},
       elastic},
      {{"saturate", "saturate", "digital", Constants{{{.3, 0}, {.1, 0}, {1.5, 0}, {2, .1}, {2.5, .2}}},
        Constants{{{.3, 0}, {.1, 0}, {2, 0}, {5, .1}, {20, .2}}}, false},
       saturate},
      {{"occlusion", "occlusion", "digital", kOcclusion, kOcclusion, true}, occlusion},
  };
  return rows;
}

Image to_image(const Picture& picture) {
  Image image{picture.width, picture.height, std::vector<uint8_t>(picture.values.size())};
  for (size_t i = 0; i < picture.values.size(); ++i)
    image.rgb[i] = static_cast<uint8_t>(std::clamp(picture.values[i], 0.0, 1.0) * 255);
  return image;
}

}  // namespace

const std::vector<Corruption>& corruptions() {
  static const std::vector<Corruption> facts = [] {
    std::vector<Corruption> all;
    for (const CorruptionRow& row : corruption_rows()) all.push_back(row.facts);
    return all;
  }();
  return facts;
}

const Corruption& find_corruption(std::string_view key) {
  std::string known;
  for (const Corruption& row : corruptions()) {
    if (row.key == key) return row;
    known += (known.empty() ? "" : ", ") + std::string(row.key);
  }
  fail(ErrorKind::kInvalidArgument, "corruptions: there is no \"{}\"; there are {}", key, known);
}

Image corrupt(const Image& image, const Corruption& corruption, int severity, uint64_t seed, const JpegCodec& jpeg) {
  if (severity < 1 || severity > kSeverities)
    fail(ErrorKind::kInvalidArgument, "corruptions: {} of severity {}, expected 1 to {}", corruption.key, severity,
         kSeverities);
  if (image.width < 1 || image.height < 1 || image.rgb.size() != static_cast<size_t>(image.width * image.height * 3))
    fail(ErrorKind::kInvalidArgument, "corruptions: an image of {} x {} with {} values", image.width, image.height,
         image.rgb.size());
  const bool small = std::max(image.width, image.height) <= kLargestSmallSide;
  const CorruptionConstants& constants =
      (small ? corruption.small : corruption.large)[static_cast<size_t>(severity - 1)];
  for (const CorruptionRow& row : corruption_rows()) {
    if (row.facts.key != corruption.key) continue;
    if (row.image != nullptr) return row.image(image, constants.a, jpeg);
    Drawn drawn(seed);
    return to_image(row.pixels(picture_of(image), constants, drawn));
  }
  fail(ErrorKind::kInvalidArgument, "corruptions: there is no \"{}\"", corruption.key);
}

uint64_t corruption_seed(uint64_t seed, int64_t image, std::string_view corruption, int severity) {
  uint64_t mixed = seed;
  const auto mix = [&mixed](uint64_t value) {  // SplitMix64's finalizer
    mixed += value + 0x9e3779b97f4a7c15;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
    mixed ^= mixed >> 31;
  };
  mix(static_cast<uint64_t>(image));
  for (const char c : corruption) mix(static_cast<unsigned char>(c));
  mix(static_cast<uint64_t>(severity));
  return mixed;
}

}  // namespace vernier
