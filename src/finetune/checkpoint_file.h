#pragma once

// Tensors and a few words of text in one file, whole or not at all: what a killed run goes on from.

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <optional>
#include <string>

namespace vernier {

struct CheckpointFile {
  std::map<std::string, at::Tensor> tensors;  ///< float32 or uint8, on any device; read back on the CPU
  std::map<std::string, std::string> words;
};

/// @throws Error{kIo}
void write_checkpoint(const std::filesystem::path& path, const CheckpointFile& content);
/// Nothing where there is no file. @throws Error{kBadFile, kIo}
std::optional<CheckpointFile> read_checkpoint(const std::filesystem::path& path);
/// @throws Error{kInvalidArgument} where the file's `word` is not `key`: it is of another run
void require_same_run(const CheckpointFile& file, const std::string& word, const std::string& key,
                      const std::filesystem::path& path);

/// The tensor called `name`, of this shape where one is given. @throws Error{kBadFile} naming `origin`
const at::Tensor& tensor_of(const std::map<std::string, at::Tensor>& tensors, const std::string& name,
                            const std::string& origin);
const at::Tensor& tensor_of(const std::map<std::string, at::Tensor>& tensors, const std::string& name,
                            at::IntArrayRef shape, const std::string& origin);

}  // namespace vernier
