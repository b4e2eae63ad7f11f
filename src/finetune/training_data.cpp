#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <map>
#include <numeric>
#include <optional>
#include <set>

#include "base/counter_random.h"
#include "base/fail.h"
#include "base/hash.h"
#include "data/document_pieces.h"
#include "data/token_runs.h"
#include "evaluate/model_preprocessor.h"
#include "finetune/packed_windows.h"
#include "finetune/sampling.h"
#include "finetune/training_hash.h"
#include "ops/parallel.h"
#include "vernier/classify.h"
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

/// Some of them, in this order; one may come twice.
TrainingData examples_of(const TrainingData& data, const std::vector<int64_t>& chosen) {
  TrainingData part;
  part.name = data.name;
  part.groups = data.groups;
  part.prompts = data.prompts;
  part.classes = data.classes;
  const auto pick = [&](auto& to, const auto& from) {
    for (const int64_t i : chosen)
      if (!from.empty()) to.push_back(from[static_cast<size_t>(i)]);
  };
  pick(part.group, data.group);
  pick(part.windows, data.windows);
  pick(part.self_written, data.self_written);
  pick(part.piece_starts, data.piece_starts);
  pick(part.labels, data.labels);
  pick(part.image_hashes, data.image_hashes);
  pick(part.captions, data.captions);
  if (data.pixels.defined()) part.pixels = data.pixels.index_select(0, at::tensor(chosen, at::kLong));
  part.hash = training_data_hash(part);
  return part;
}

void add_window(std::vector<int32_t> tokens, int32_t group, TrainingData& data) {
  data.windows.push_back({std::move(tokens), 0, static_cast<int64_t>(data.windows.size())});
  data.group.push_back(group);
}

/// A window that is less than a quarter full is none, but for a group's only one. Of two that are less than half full all
/// would be in one.
constexpr size_t kFullEnough = 4;

/// A group's pieces, as many to a window as it has room for.
void add_packed_windows(const std::vector<std::vector<int32_t>>& pieces, int32_t group, int64_t context,
                        TrainingData& data) {
  std::vector<size_t> lengths;
  for (const std::vector<int32_t>& piece : pieces) lengths.push_back(piece.size());
  const auto room = static_cast<size_t>(context);
  const std::vector<std::vector<size_t>> windows = packed_windows(lengths, room);
  for (const std::vector<size_t>& window : windows) {
    std::vector<int32_t> tokens, starts;
    for (const size_t piece : window) {
      if (!tokens.empty()) starts.push_back(static_cast<int32_t>(tokens.size()));
      tokens.insert(tokens.end(), pieces[piece].begin(), pieces[piece].end());
    }
    if (kFullEnough * tokens.size() < room && windows.size() > 1) continue;
    add_window(std::move(tokens), group, data);
    data.piece_starts.push_back(std::move(starts));
  }
}

constexpr const char* kCaption = "caption";  // a column of texts, not of groups

/// The column of that name, or of the first groups; nothing for the classes.
std::optional<size_t> group_column(const LabelledImages& images, const std::string& attribute) {
  if (attribute == "class") return std::nullopt;
  for (size_t column = 0; column < images.attributes.size(); ++column)
    if (attribute.empty() ? images.attributes[column] != kCaption : images.attributes[column] == attribute)
      return column;
  if (attribute.empty()) return std::nullopt;
  fail(ErrorKind::kInvalidArgument, "finetune: {} has no column \"{}\"; there are class, {}", images.name, attribute,
       fmt::join(images.attributes, ", "));
}

/// Tokens of the prompts, and of the captions where there is such a column.
void add_words(const Model& model, const LabelledImages& images, const PromptTemplates& prompts, TrainingData& data) {
  data.classes = static_cast<int64_t>(images.classes.size());
  data.prompts = class_prompts(model, images.classes, prompts);
  const auto column = std::ranges::find(images.attributes, kCaption) - images.attributes.begin();
  if (column == static_cast<int64_t>(images.attributes.size())) return;
  const Tokenizer tokenizer(load_tokenizer_of(model.source().path));
  for (const LabelledImage& image : images.images)
    data.captions.push_back(tokenizer.encode(image.groups[static_cast<size_t>(column)]));
}

}  // namespace

std::string training_data_hash(const TrainingData& data) {
  Hasher hasher;
  for (const std::string& group : data.groups) hasher.add(group);
  hasher.add(std::as_bytes(std::span(data.group)));
  hasher.add(std::as_bytes(std::span(data.labels)));
  for (const TokenWindow& window : data.windows) {
    hasher.add(std::to_string(window.first_row));
    hasher.add(std::as_bytes(std::span(window.tokens)));
  }
  for (const std::vector<int32_t>& starts : data.piece_starts) {
    hasher.add(std::to_string(starts.size()));
    hasher.add(std::as_bytes(std::span(starts)));
  }
  for (const std::string& image : data.image_hashes) hasher.add(image);
  for (const auto* texts : {&data.prompts, &data.captions})
    for (const std::vector<int32_t>& text : *texts) hasher.add(std::as_bytes(std::span(text)));
  return hasher.hex();
}

std::vector<EncodedDocument> encoded_documents(const Tokenizer& tokenizer, const std::vector<Document>& documents,
                                               int threads) {
  std::vector<EncodedDocument> encoded(documents.size());
  parallel_for(static_cast<int64_t>(documents.size()), threads, [&](int64_t d, int) {
    const Document& document = documents[static_cast<size_t>(d)];
    encoded[static_cast<size_t>(d)] = {tokenizer.encode(document.text, {.add_special = false, .parse_special = false}),
                                       document.group};
  });
  return encoded;
}

TrainingData training_text(const Tokenizer& tokenizer, const std::string& name,
                           const std::vector<EncodedDocument>& documents, int64_t context) {
  if (context < 8) fail(ErrorKind::kInvalidArgument, "finetune: context {}: expected at least 8", context);
  TrainingData data;
  data.name = name;
  GroupNames names;
  const std::optional<int32_t> bos = tokenizer.adds_bos() ? tokenizer.bos_id() : std::nullopt;
  std::vector<std::vector<std::vector<int32_t>>> pieces;  // of each group
  for (const EncodedDocument& document : documents) {
    std::vector<std::vector<int32_t>> own = document_pieces(document.ids, bos, context);
    if (own.empty()) continue;
    const auto group = static_cast<size_t>(names.index_of(document.group, data.groups));
    if (pieces.size() <= group) pieces.resize(group + 1);
    std::ranges::move(own, std::back_inserter(pieces[group]));
  }
  for (size_t g = 0; g < pieces.size(); ++g) add_packed_windows(pieces[g], static_cast<int32_t>(g), context, data);
  if (data.windows.empty()) fail(ErrorKind::kInvalidArgument, "finetune: {}: no document has 2 tokens", name);
  data.hash = training_data_hash(data);
  return data;
}

TrainingData training_windows(const std::string& name, const std::vector<EncodedDocument>& documents) {
  TrainingData data;
  data.name = name;
  GroupNames names;
  for (const EncodedDocument& document : documents)
    if (document.ids.size() >= 2) add_window(document.ids, names.index_of(document.group, data.groups), data);
  if (data.windows.empty()) fail(ErrorKind::kInvalidArgument, "finetune: {}: no window has 2 tokens", name);
  data.hash = training_data_hash(data);
  return data;
}

TrainingData held_out_text(const EvaluationData& text) {
  TrainingData data;
  data.name = text.name;
  GroupNames names;
  data.windows = text.windows;
  for (const TokenWindow& window : text.windows)
    data.group.push_back(names.index_of(text.clusters[static_cast<size_t>(window.cluster)].group, data.groups));
  data.group_bytes.resize(data.groups.size());
  for (const Cluster& document : text.clusters) {
    const auto known = std::ranges::find(data.groups, document.group);  // not one that is too short for a window
    if (known != data.groups.end())
      data.group_bytes[static_cast<size_t>(known - data.groups.begin())] += static_cast<double>(document.bytes);
  }
  data.hash = text.hash;
  return data;
}

TrainingData training_images(const Model& model, const LabelledImages& images, const std::string& attribute,
                             int threads, const PromptTemplates& prompts) {
  const bool pairs = !model.config().stacks.empty();
  const Model seeing = pairs ? stack_of(model, Stack::kImage) : model;
  if (!pairs && static_cast<int64_t>(images.classes.size()) != model.config().read_out.classes)
    fail(ErrorKind::kInvalidArgument, "finetune: {} tells {} classes apart, {} has {}", model.source().name,
         model.config().read_out.classes, images.name, images.classes.size());
  TrainingData data;
  data.name = images.name;
  const std::optional<size_t> column = group_column(images, attribute);
  GroupNames names;
  std::vector<std::filesystem::path> paths;
  for (const LabelledImage& image : images.images) {
    paths.push_back(image.path);
    data.labels.push_back(image.label);
    const std::string& group = column ? image.groups[*column] : images.classes[static_cast<size_t>(image.label)];
    data.group.push_back(names.index_of(group, data.groups));
    data.image_hashes.push_back(hash_file(image.path));
  }
  const std::vector<float> values = load_pixel_values(paths, preprocessor_of(model), threads);
  const PatchConfig& patches = seeing.config().patches;
  const int64_t side = patches.image_size;
  if (static_cast<int64_t>(values.size()) != data.size() * patches.channels * side * side)
    fail(ErrorKind::kInvalidArgument, "finetune: {}: preprocessing gives {} values an image, {} takes {}", images.name,
         values.size() / paths.size(), model.source().name, patches.channels * side * side);
  data.pixels = at::empty({data.size(), patches.channels, side, side}, at::kFloat);
  std::memcpy(data.pixels.data_ptr(), values.data(), values.size() * sizeof(float));
  if (pairs) add_words(model, images, prompts, data);
  data.hash = training_data_hash(data);
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
  std::vector<int64_t> chosen[2];
  for (int64_t i = 0; i < data.size(); ++i) chosen[apart.contains(i)].push_back(i);
  if (chosen[0].empty() || chosen[1].empty())
    fail(ErrorKind::kInvalidArgument, "finetune: {}: {} examples are too few to keep some apart", data.name,
         data.size());
  return {examples_of(data, chosen[0]), examples_of(data, chosen[1])};
}

TrainingData some_of_each_group(const TrainingData& data, int64_t count) {
  if (count < 1) fail(ErrorKind::kInvalidArgument, "finetune: {} examples to measure: expected at least 1", count);
  if (count >= data.size()) return data;
  std::vector<int64_t> taken(data.groups.size(), 0);
  std::vector<std::pair<int64_t, int64_t>> order;  // every group's first, then every group's second
  for (int64_t i = 0; i < data.size(); ++i)
    order.emplace_back(taken[static_cast<size_t>(data.group[static_cast<size_t>(i)])]++, i);
  std::ranges::sort(order);
  std::vector<int64_t> chosen;
  for (const auto& [rank, i] : order)
    if (static_cast<int64_t>(chosen.size()) < count) chosen.push_back(i);
  std::ranges::sort(chosen);
  return examples_of(data, chosen);
}

TrainingData examples_of_groups(const TrainingData& data, const std::vector<std::string>& measured) {
  std::vector<int64_t> chosen;
  for (int64_t i = 0; i < data.size(); ++i)
    if (std::ranges::find(measured, data.groups[static_cast<size_t>(data.group[static_cast<size_t>(i)])]) !=
        measured.end())
      chosen.push_back(i);
  return chosen.empty() ? data : examples_of(data, chosen);
}

TrainingData drawn_examples(const TrainingData& data, const std::string& sampling, int64_t count, uint64_t seed) {
  if (count < 1) fail(ErrorKind::kInvalidArgument, "finetune: {} examples drawn: expected at least 1", count);
  return examples_of(data,
                     Sampler(find_sampling(sampling), data.group, oversampling(data.groups, {}), seed).draw(0, count));
}

TrainingData joined_training_data(const TrainingData& a, const TrainingData& b) {
  if (a.groups != b.groups || a.pixels.defined() != b.pixels.defined() || a.captions.empty() != b.captions.empty())
    fail(ErrorKind::kInvalidArgument, "finetune: {} and {} are of different groups or kinds", a.name, b.name);
  TrainingData both = a;
  both.name = a.name + " and " + b.name;
  const auto append = [](auto& to, const auto& from) { to.insert(to.end(), from.begin(), from.end()); };
  append(both.group, b.group);
  append(both.windows, b.windows);
  const auto append_windows = [&](auto& to, const auto& from) {  // either may be without
    if (to.empty() && from.empty()) return;
    to.resize(a.windows.size());
    append(to, from);
    to.resize(both.windows.size());
  };
  append_windows(both.self_written, b.self_written);
  append_windows(both.piece_starts, b.piece_starts);
  append(both.labels, b.labels);
  append(both.image_hashes, b.image_hashes);
  append(both.captions, b.captions);
  if (a.pixels.defined()) both.pixels = at::cat({a.pixels, b.pixels}, 0);
  both.group_bytes.clear();
  both.hash = training_data_hash(both);
  return both;
}

std::vector<EncodedDocument> documents_apart(const std::vector<EncodedDocument>& documents,
                                             const TrainingData& held_out) {
  EvaluationData asked, whole;
  asked.windows = held_out.windows;
  for (const EncodedDocument& document : documents) {
    TokenWindow& window = whole.windows.emplace_back();
    window.tokens = {0};  // runs are looked for from the second token on
    window.tokens.insert(window.tokens.end(), document.ids.begin(), document.ids.end());
  }
  const std::vector<bool> shared = find_shared_runs(asked, whole).holders;
  std::vector<EncodedDocument> apart;
  for (size_t d = 0; d < documents.size(); ++d)
    if (!shared[d]) apart.push_back(documents[d]);
  if (apart.empty() && !documents.empty())
    fail(ErrorKind::kInvalidArgument, "finetune: every document shares text with {}, which is held out", held_out.name);
  return apart;
}

TrainingData images_apart(const TrainingData& images, const TrainingData& held_out) {
  const std::set<std::string> known(held_out.image_hashes.begin(), held_out.image_hashes.end());
  std::vector<int64_t> apart;
  for (int64_t i = 0; i < images.size(); ++i)
    if (!known.contains(images.image_hashes[static_cast<size_t>(i)])) apart.push_back(i);
  if (apart.empty()) fail(ErrorKind::kInvalidArgument, "finetune: every image of {} is held out as well", images.name);
  return examples_of(images, apart);
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
