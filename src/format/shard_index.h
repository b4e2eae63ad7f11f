#pragma once

// model.safetensors.index.json: which shard holds which tensor.

#include <filesystem>
#include <map>
#include <set>
#include <string>

namespace vernier {

/// Also true for a dangling link, such as an unfinished download leaves: opening it then names what is missing.
bool is_present(const std::filesystem::path& path);

/// Shard -> its tensors. Every shard is a plain file name beside the index.
/// @throws Error{kBadFile} naming the tensor whose entry is wrong, Error{kIo}
std::map<std::string, std::set<std::string>> read_shard_index(const std::filesystem::path& index);

}  // namespace vernier
