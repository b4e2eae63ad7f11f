#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <numeric>
#include <set>

#include "base/fail.h"
#include "base/hash.h"
#include "finetune/counter_random.h"
#include "vernier/decode_images.h"
#include "vernier/finetune.h"

namespace vernier {

namespace {

/// Names in order of their first appearance, and the index of each.
class GroupNames {
 public:
  int32_t index_of(const std::string& name, std::vector<std::string>& names) {
    const auto [it, is_new] = index_.try_emplace(name, static_cast<int32_t>(names.size()));
    if (is_new) names.push_back(name);
    return it->second;
  }

 private:
  std::map<std::string, int32_t> index_;
};

std::string hash_of(const TrainingData& data) {
  Hasher hasher;
  for (const std::string& group : data.groups) hasher.add(group);
  hasher.add(std::as_bytes(std::span(data.group)));
  hasher.add(std::as_bytes(std::span(data.labels)));
  for (const TokenWindow& window : data.windows) {
    hasher.add(std::to_string(window.first_row));
    hasher.add(std::as_bytes(std::span(window.tokens)));
  }
  for (const std::string& image : data.image_hashes) hasher.add(image);
  return hasher.hex();
}

/// Windows of a group's tokens; the last one short only if it is the only one.
void cut_windows(const std::vector<int32_t>& ids, int32_t group, int64_t context, TrainingData& data) {
  const auto length = static_cast<size_t>(context);
  for (size_t begin = 0; begin + 1 < ids.size(); begin += length) {
    const size_t end = std::min(ids.size(), begin + length);
    if (end - begin < length && begin > 0) break;
    if (end - begin < 2) break;
    data.windows.push_back({{ids.begin() + static_cast<int64_t>(begin), ids.begin() + static_cast<int64_t>(end)},
                            0,
                            static_cast<int64_t>(data.windows.size())});
    data.group.push_back(group);
  }
}

size_t attribute_index(const LabelledImages& images, const std::string& attribute) {
  const auto found = std::ranges::find(images.attributes, attribute);
  if (found == images.attributes.end())
    fail(ErrorKind::kInvalidArgument, "finetune: {} has no column \"{}\"; there are class, {}", images.name, attribute,
         fmt::join(images.attributes, ", "));
  return static_cast<size_t>(found - images.attributes.begin());
}

}  // namespace

TrainingData training_text(const Tokenizer& tokenizer, const std::string& name, const std::vector<Document>& documents,
                           int64_t context) {
  if (context < 8) fail(ErrorKind::kInvalidArgument, "finetune: context {}: expected at least 8", context);
  TrainingData data;
  data.name = name;
  GroupNames names;
  std::vector<std::vector<int32_t>> ids;
  for (const Document& document : documents) {
    const auto group = static_cast<size_t>(names.index_of(document.group, data.groups));
    if (ids.size() <= group) ids.resize(group + 1);
    if (tokenizer.adds_bos()) ids[group].push_back(*tokenizer.bos_id());
    const std::vector<int32_t> own = tokenizer.encode(document.text, {.add_special = false, .parse_special = false});
    ids[group].insert(ids[group].end(), own.begin(), own.end());
  }
  for (size_t g = 0; g < ids.size(); ++g) cut_windows(ids[g], static_cast<int32_t>(g), context, data);
  if (data.windows.empty()) fail(ErrorKind::kInvalidArgument, "finetune: {}: no document has 2 tokens", name);
  data.hash = hash_of(data);
  return data;
}

TrainingData held_out_text(const EvaluationData& text) {
  TrainingData data;
  data.name = text.name;
  GroupNames names;
  data.windows = text.windows;
  for (const TokenWindow& window : text.windows)
    data.group.push_back(names.index_of(text.clusters[static_cast<size_t>(window.cluster)].group, data.groups));
  data.hash = text.hash;
  return data;
}

TrainingData training_images(const Model& model, const LabelledImages& images, const std::string& attribute,
                             int threads) {
  if (static_cast<int64_t>(images.classes.size()) != model.config().read_out.classes)
    fail(ErrorKind::kInvalidArgument, "finetune: {} tells {} classes apart, {} has {}", model.source().name,
         model.config().read_out.classes, images.name, images.classes.size());
  TrainingData data;
  data.name = images.name;
  const bool by_class = attribute == "class" || (attribute.empty() && images.attributes.empty());
  const size_t column = by_class || attribute.empty() ? 0 : attribute_index(images, attribute);
  GroupNames names;
  std::vector<std::filesystem::path> paths;
  for (const LabelledImage& image : images.images) {
    paths.push_back(image.path);
    data.labels.push_back(image.label);
    const std::string& group = by_class ? images.classes[static_cast<size_t>(image.label)] : image.groups[column];
    data.group.push_back(names.index_of(group, data.groups));
    data.image_hashes.push_back(hash_file(image.path));
  }
  const std::vector<float> values = load_pixel_values(paths, load_image_preprocessor(model.source().path), threads);
  const PatchConfig& patches = model.config().patches;
  const int64_t side = patches.image_size;
  if (static_cast<int64_t>(values.size()) != data.size() * patches.channels * side * side)
    fail(ErrorKind::kInvalidArgument, "finetune: {}: preprocessing gives {} values an image, {} takes {}", images.name,
         values.size() / paths.size(), model.source().name, patches.channels * side * side);
  data.pixels = at::empty({data.size(), patches.channels, side, side}, at::kFloat);
  std::memcpy(data.pixels.data_ptr(), values.data(), values.size() * sizeof(float));
  data.hash = hash_of(data);
  return data;
}

std::pair<TrainingData, TrainingData> split_training_data(const TrainingData& data, double share, uint64_t seed) {
  if (!(share > 0 && share < 1))
    fail(ErrorKind::kInvalidArgument, "finetune: a validation share of {}: expected more than 0 and less than 1",
         share);
  std::vector<std::vector<int64_t>> members(data.groups.size());
  for (int64_t i = 0; i < data.size(); ++i)
    members[static_cast<size_t>(data.group[static_cast<size_t>(i)])].push_back(i);
  std::set<int64_t> apart;
  for (const std::vector<int64_t>& own : members) {
    const auto count = static_cast<int64_t>(own.size());
    int64_t wanted = count < 2 ? 0 : std::max<int64_t>(1, std::llround(share * static_cast<double>(count)));
    std::vector<std::pair<uint64_t, int64_t>> order;
    for (const int64_t i : own) order.emplace_back(random_bits(seed, static_cast<uint64_t>(i)), i);
    std::ranges::sort(order);
    for (const auto& [key, i] : order)
      if (wanted-- > 0) apart.insert(i);
  }
  std::pair<TrainingData, TrainingData> parts;
  std::vector<int64_t> chosen[2];
  for (int64_t i = 0; i < data.size(); ++i) {
    const bool is_apart = apart.contains(i);
    TrainingData& part = is_apart ? parts.second : parts.first;
    chosen[is_apart].push_back(i);
    const auto at = static_cast<size_t>(i);
    part.group.push_back(data.group[at]);
    if (!data.windows.empty()) part.windows.push_back(data.windows[at]);
    if (!data.labels.empty()) part.labels.push_back(data.labels[at]);
    if (!data.image_hashes.empty()) part.image_hashes.push_back(data.image_hashes[at]);
  }
  for (const int side : {0, 1}) {
    TrainingData& part = side == 0 ? parts.first : parts.second;
    if (part.group.empty())
      fail(ErrorKind::kInvalidArgument, "finetune: {}: {} examples are too few to keep some apart", data.name,
           data.size());
    if (data.pixels.defined()) part.pixels = data.pixels.index_select(0, at::tensor(chosen[side], at::kLong));
    part.name = data.name;
    part.groups = data.groups;
    part.hash = hash_of(part);
  }
  return parts;
}

int64_t shared_examples(const TrainingData& held_out, const TrainingData& learned) {
  if (!held_out.windows.empty()) {
    EvaluationData a, b;
    a.windows = held_out.windows;
    b.windows = learned.windows;
    return shared_token_runs(a, b);
  }
  const std::set<std::string> known(learned.image_hashes.begin(), learned.image_hashes.end());
  return std::ranges::count_if(held_out.image_hashes, [&](const std::string& hash) { return known.contains(hash); });
}

}  // namespace vernier
