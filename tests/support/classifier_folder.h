#pragma once

// The tiny ViT with a preprocessor, and images of noise with a manifest, in a folder of their own.

#include <fmt/format.h>

#include <filesystem>
#include <random>
#include <string>

#include "base/output_file.h"
#include "support/scratch.h"
#include "support/vision_models.h"

namespace vernier {

class ClassifierFolder {
 public:
  static constexpr int kSide = 32;

  ClassifierFolder(const std::string& name, int images) : path_(scratch_path(name)) {
    namespace fs = std::filesystem;
    fs::remove_all(path_);
    fs::create_directories(path_ / "model");
    for (const char* file : {"config.json", "model.safetensors"})
      fs::copy_file(vision_fixture("vit") / file, path_ / "model" / file);
    write_file(
        path_ / "model/preprocessor_config.json",
        R"({"image_processor_type": "ViTImageProcessor", "do_resize": true, "size": {"height": 32, "width": 32}, "do_rescale": true, "do_normalize": true,
                   "rescale_factor": 0.00392156862745098, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.25, 0.25]})");
    std::mt19937 random(3);
    std::string manifest = "path,label\n";
    for (int i = 0; i < images; ++i) {
      std::string pixels;
      for (int k = 0; k < 3 * kSide * kSide; ++k) pixels.push_back(static_cast<char>(random() % 256));
      write_file(image(i), fmt::format("P6\n{} {}\n255\n", kSide, kSide) + pixels);
      manifest += fmt::format("{},LABEL_{}\n", image(i).filename().string(), i % 3);
    }
    write_file(manifest_path(), manifest);
  }
  ~ClassifierFolder() { std::filesystem::remove_all(path_); }
  ClassifierFolder(const ClassifierFolder&) = delete;
  ClassifierFolder& operator=(const ClassifierFolder&) = delete;

  std::filesystem::path path() const { return path_; }
  std::string model() const { return (path_ / "model").string(); }
  std::filesystem::path manifest_path() const { return path_ / "images.csv"; }
  std::filesystem::path image(int i) const { return path_ / fmt::format("{}.ppm", i); }

 private:
  std::filesystem::path path_;
};

}  // namespace vernier
