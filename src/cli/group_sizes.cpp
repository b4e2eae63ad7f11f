#include "cli/group_sizes.h"

#include "base/fail.h"
#include "base/json.h"

namespace vernier {

GroupSizes read_group_sizes(const std::string& path) {
  GroupSizes sizes;
  if (path.empty()) return sizes;
  const Json file = read_json(path);
  const Json* inner = file.is_object() ? json_find(file, "train_counts") : nullptr;
  const Json& counts = inner != nullptr ? *inner : file;
  if (!counts.is_object() || counts.empty())
    fail(ErrorKind::kBadFile, "groups: {}: expected an object of counts, {{\"airplane\": 5000, ...}}", path);
  for (const auto& [group, count] : counts.items()) sizes[group] = json_int(counts, group.c_str(), path, 0, kMaxCount);
  return sizes;
}

void set_sizes(std::vector<ChainRecord>& records, const GroupSizes& sizes) {
  for (ChainRecord& record : records)
    if (const auto size = sizes.find(record.group); size != sizes.end()) record.examples = size->second;
}

}  // namespace vernier
