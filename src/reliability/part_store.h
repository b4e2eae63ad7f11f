#pragma once

// What is measured already, part by part, so that whoever is killed goes on where it was: figures are always made of all
// parts anew, so that they do not depend on where that happened.
//
//   PartStore parts("reliability.parts", identity);
//   const Json correct = parts.get("corruption fog", [&] { return measure(); });

#include <filesystem>
#include <functional>
#include <string>

#include "base/json.h"

namespace vernier {

class PartStore {
 public:
  /// @param folder "" keeps nothing @param identity of everything that parts depend on; those of another one are not read
  PartStore(std::filesystem::path folder, std::string identity)
      : folder_(std::move(folder)), identity_(std::move(identity)) {}

  bool has(const std::string& key) const;
  /// The part as it was stored, or as `make` makes it, stored.
  /// @throws Error{kIo}; {kBadFile} for a part that is no JSON
  Json get(const std::string& key, const std::function<Json()>& make) const;
  /// All of them, once the result is there.
  void remove() const;

 private:
  std::filesystem::path path_of(const std::string& key) const;
  bool is_own(const std::filesystem::path& path) const;
  std::filesystem::path folder_;
  std::string identity_;
};

}  // namespace vernier
