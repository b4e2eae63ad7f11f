#pragma once

// Pictures of tests/fixtures/images as Pillow opens them, and what was made of them.

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "format/safetensors_file.h"
#include "vernier/images.h"

namespace vernier {

inline const std::filesystem::path kImageFixtures = std::filesystem::path(VERNIER_SOURCE_DIR) / "tests/fixtures/images";

class ImageFixtures {
 public:
  /// Of a tensor [height, width, 3] of bytes.
  Image image(const std::string& name) const {
    const SafetensorsEntry& entry = file_.read(name);
    Image image{entry.shape.at(1), entry.shape.at(0), std::vector<uint8_t>(entry.data.size())};
    std::memcpy(image.rgb.data(), entry.data.data(), entry.data.size());
    return image;
  }
  std::vector<float> values(const std::string& name) const {
    const SafetensorsEntry& entry = file_.read(name);
    std::vector<float> values(entry.data.size() / sizeof(float));
    std::memcpy(values.data(), entry.data.data(), entry.data.size());
    return values;
  }
  /// What stands behind `prefix` in the names that begin with it.
  std::vector<std::string> names(const std::string& prefix) const {
    std::vector<std::string> names;
    for (const SafetensorsEntry& entry : file_.entries())
      if (entry.name.starts_with(prefix)) names.push_back(entry.name.substr(prefix.size()));
    return names;
  }

 private:
  SafetensorsFile file_{kImageFixtures / "golden.safetensors"};
};

}  // namespace vernier
