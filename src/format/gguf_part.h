#pragma once

// One GGUF file on the disk, checked: a whole model, or one part of a split one. GgufFile puts parts together.
//
//   GgufPart part = read_gguf_part("model-00001-of-00003.gguf");

#include <filesystem>
#include <memory>
#include <vector>

#include "base/mapped_file.h"
#include "format/gguf_file.h"

namespace vernier {

struct GgufPart {
  std::unique_ptr<const MappedFile> mapping;
  uint32_t version = 0;
  uint64_t alignment = 32;
  std::vector<GgufKeyValue> values;
  std::vector<GgufTensor> tensors;  ///< views of the mapping
};

/// @throws as the constructor of GgufFile, for this one file
GgufPart read_gguf_part(const std::filesystem::path& path);

}  // namespace vernier
