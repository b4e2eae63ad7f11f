#pragma once

// Split GGUF files, as llama.cpp's gguf-split writes them: NAME-00001-of-00003.gguf and so on, each with its place in
// `split.no` (from 0) and `split.count`. The first part has the metadata, the tensors are spread over all.
//
//   for (const fs::path& part : gguf_part_names("model-00002-of-00003.gguf")) ...    // the three names, in order

#include <cstdint>
#include <filesystem>
#include <vector>

#include "format/gguf_part.h"

namespace vernier {

inline constexpr const char* kGgufSplitTensors = "split.tensors.count";

struct GgufSplit {
  int64_t index = 0;  ///< from 0
  int64_t count = 0;  ///< 0 and 1: the file is whole (a merged file keeps the key with 0)

  bool operator==(const GgufSplit&) const = default;
};

/// The names of all parts, in order, where `path` is named as one; else nothing. The disk is not looked at.
std::vector<std::filesystem::path> gguf_part_names(const std::filesystem::path& path);

/// What the file's metadata say. @throws Error{kBadFile}
GgufSplit read_gguf_split(const GgufPart& part);

/// The paths of all parts of the split that `path` is a part of, in order. All of them exist.
/// @throws Error{kBadFile} when the name is not the one of that part; Error{kIo} naming a part that is missing
std::vector<std::filesystem::path> gguf_parts_beside(const std::filesystem::path& path, const GgufSplit& split);

/// @throws Error{kBadFile} when the part says that it is another one
void check_gguf_part(const GgufPart& part, const GgufSplit& expected);

}  // namespace vernier
