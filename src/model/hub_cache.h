#pragma once

// The local Hugging Face cache: HUB/models--OWNER--NAME/snapshots/REVISION, with the current revision in refs/main.

#include <filesystem>
#include <optional>
#include <string>

namespace vernier {

/// $HF_HUB_CACHE, $HF_HOME/hub or ~/.cache/huggingface/hub.
std::filesystem::path hub_cache_folder();

/// The current snapshot of "owner/name", where the cache has one.
std::optional<std::filesystem::path> cached_snapshot(const std::string& name);

/// What a model's folder is called: a snapshot's last part says nothing to a reader, so it has its repository's name.
std::string name_of_model_folder(const std::filesystem::path& folder);

}  // namespace vernier
