#pragma once

// The tiny ViT with a preprocessor beside it, and labelled images of noise in two groups, in a folder of their own.

#include <fmt/format.h>

#include <filesystem>
#include <random>
#include <string>

#include "base/output_file.h"
#include "support/vision_models.h"

namespace vernier {

class NoiseImages {
 public:
  explicit NoiseImages(std::filesystem::path folder) : folder_(std::move(folder)) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_ / "model");
    for (const char* file : {"config.json", "model.safetensors"})
      std::filesystem::copy_file(vision_fixture("vit") / file, folder_ / "model" / file);
    write_file(folder_ / "model/preprocessor_config.json",
               R"({"image_processor_type": "ViTImageProcessor", "size": {"height": 32, "width": 32},
                   "image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.25, 0.25]})");
  }
  ~NoiseImages() { std::filesystem::remove_all(folder_); }
  NoiseImages(const NoiseImages&) = delete;
  NoiseImages& operator=(const NoiseImages&) = delete;

  std::string model() const { return (folder_ / "model").string(); }
  std::filesystem::path folder() const { return folder_; }

  /// A manifest of `count` images, classes in turns. @return its path
  std::string manifest(const std::string& name, int count, unsigned seed) const {
    constexpr int kSide = 32, kClasses = 10;
    std::mt19937 random(seed);
    std::string lines = "path,label,kind\n";
    for (int i = 0; i < count; ++i) {
      std::string pixels;
      for (int k = 0; k < 3 * kSide * kSide; ++k) pixels.push_back(static_cast<char>(random() % 256));
      const std::string file = fmt::format("{}{}.ppm", name, i);
      write_file(folder_ / file, fmt::format("P6\n{} {}\n255\n", kSide, kSide) + pixels);
      lines += fmt::format("{},LABEL_{},{}\n", file, i % kClasses, i % 3 == 0 ? "odd" : "even");
    }
    write_file(folder_ / (name + ".csv"), lines);
    return (folder_ / (name + ".csv")).string();
  }

 private:
  std::filesystem::path folder_;
};

}  // namespace vernier
