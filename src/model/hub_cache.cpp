#include "model/hub_cache.h"

#include <cstdlib>

#include "base/output_file.h"

namespace vernier {

namespace fs = std::filesystem;

namespace {

const std::string kModels = "models--";

}  // namespace

fs::path hub_cache_folder() {
  if (const char* hub = std::getenv("HF_HUB_CACHE")) return hub;
  if (const char* home = std::getenv("HF_HOME")) return fs::path(home) / "hub";
  const char* home = std::getenv("HOME");
  return fs::path(home == nullptr ? "." : home) / ".cache" / "huggingface" / "hub";
}

std::optional<fs::path> cached_snapshot(const std::string& name) {
  const auto slash = name.find('/');
  if (slash == std::string::npos || slash == 0 || name.find('/', slash + 1) != std::string::npos || name[0] == '.')
    return std::nullopt;
  const fs::path cached = hub_cache_folder() / (kModels + name.substr(0, slash) + "--" + name.substr(slash + 1));
  std::error_code code;  // a name may be too long for a path, or its folder not ours to look into
  if (!fs::exists(cached / "refs" / "main", code)) return std::nullopt;
  std::string revision = read_file(cached / "refs" / "main", 256);
  revision.erase(revision.find_last_not_of(" \r\n") + 1);
  const fs::path snapshot = cached / "snapshots" / revision;
  if (revision.find('/') != std::string::npos || !fs::exists(snapshot, code)) return std::nullopt;
  return snapshot;
}

std::string name_of_model_folder(const fs::path& folder) {
  const fs::path path = fs::canonical(folder);
  const std::string repository = path.parent_path().parent_path().filename().string();
  if (path.parent_path().filename() != "snapshots" || !repository.starts_with(kModels)) return path.filename().string();
  const size_t name = repository.find("--", kModels.size());
  return repository.substr(name == std::string::npos ? kModels.size() : name + 2);
}

}  // namespace vernier
