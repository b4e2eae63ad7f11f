// Which files of a folder are its weights, and what to say of a folder that has none.

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <vector>

#include "base/fail.h"
#include "base/json.h"
#include "format/bytes.h"
#include "format/shard_index.h"
#include "format/sharded_safetensors.h"

namespace vernier {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kEnding = ".safetensors";

/// Files of these names hold no model of their own: adapters, and what a trainer needs to go on.
bool is_beside_the_model(const std::string& name) {
  constexpr std::string_view kBeginnings[] = {"adapter_", "optimizer", "rng_state",
                                              "scaler",   "scheduler", "training_args"};
  return std::any_of(std::begin(kBeginnings), std::end(kBeginnings),
                     [&](std::string_view beginning) { return name.starts_with(beginning); });
}

/// Sorted names of the folder's files with one of these endings.
std::vector<std::string> names_with(const fs::path& folder, std::initializer_list<std::string_view> endings) {
  std::vector<std::string> names;
  std::error_code code;
  for (fs::directory_iterator entry(folder, code), end; !code && entry != end; entry.increment(code)) {
    const std::string name = entry->path().filename().string();
    if (std::any_of(endings.begin(), endings.end(), [&](std::string_view ending) { return name.ends_with(ending); }))
      names.push_back(name);
  }
  if (code) fail(ErrorKind::kIo, "load: list {}: {}", folder.string(), code.message());
  std::sort(names.begin(), names.end());
  return names;
}

/// What may be a whole model: shards of one set by number, or a file of its own (total 0).
struct WeightSet {
  std::string stem;
  unsigned total = 0;
  std::map<unsigned, std::string> files;  // by number
};

/// "model-00002-of-00003.safetensors": stem, 2, 3. A file of its own for any other name.
void add_to_sets(const std::string& name, std::vector<WeightSet>& sets) {
  constexpr size_t kDigits = 5;
  const std::string_view stem = std::string_view(name).substr(0, name.size() - kEnding.size());
  constexpr size_t kNumbering = 1 + kDigits + 4 + kDigits;  // -00002-of-00003
  unsigned number = 0, total = 0;
  const auto digits = [](std::string_view text, unsigned* value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
    return error == std::errc() && end == text.data() + text.size();
  };
  if (stem.size() > kNumbering) {
    const std::string_view tail = stem.substr(stem.size() - kNumbering);
    if (tail[0] == '-' && tail.substr(1 + kDigits, 4) == "-of-" && digits(tail.substr(1, kDigits), &number) &&
        digits(tail.substr(5 + kDigits), &total) && 0 < number && number <= total) {
      const std::string_view base = stem.substr(0, stem.size() - kNumbering);
      const auto same = [&](const WeightSet& set) { return set.stem == base && set.total == total; };
      auto set = std::find_if(sets.begin(), sets.end(), same);
      if (set == sets.end()) set = sets.insert(set, {std::string(base), total, {}});
      set->files[number] = name;
      return;
    }
  }
  sets.push_back({std::string(stem), 0, {{1, name}}});
}

/// The only set, or the only one that is called "model".
const WeightSet* choose(const fs::path& folder, const std::vector<WeightSet>& sets) {
  if (sets.size() < 2) return sets.empty() ? nullptr : &sets[0];
  const auto by_name = [](const WeightSet& set) { return set.stem == "model"; };
  if (std::count_if(sets.begin(), sets.end(), by_name) == 1) return &*std::find_if(sets.begin(), sets.end(), by_name);
  std::vector<std::string> names;
  for (const WeightSet& set : sets) names.push_back(in_quotes(set.files.begin()->second));
  fail(ErrorKind::kInvalidArgument,
       "load: {}: {} files could each be the model, or begin it: {}; expected model.safetensors, or one set of shards; "
       "leave one of them in a folder with config.json",
       folder.string(), names.size(), fmt::join(names, ", "));
}

std::string read_base_model(const fs::path& adapter_config) {
  try {
    const Json json = read_json(adapter_config);
    const Json* base = json_find(json, "base_model_name_or_path");
    return base != nullptr && base->is_string() ? base->get<std::string>() : "";
  } catch (const Error&) {
    return "";  // it only helps to name the base model
  }
}

}  // namespace

std::vector<fs::path> safetensors_in(const fs::path& folder) {
  if (is_present(folder / "model.safetensors")) return {folder / "model.safetensors"};
  std::vector<fs::path> files;
  if (const fs::path index = folder / "model.safetensors.index.json"; is_present(index)) {
    for (const auto& [shard, tensors] : read_shard_index(index)) files.push_back(folder / shard);
    return files;
  }
  std::vector<WeightSet> sets;
  for (const std::string& name : names_with(folder, {kEnding}))
    if (!is_beside_the_model(name)) add_to_sets(name, sets);
  const WeightSet* set = choose(folder, sets);
  if (set == nullptr) return {};
  unsigned expected = 1;
  for (const auto& [number, name] : set->files) {
    if (number != expected) break;
    files.push_back(folder / name);
    ++expected;
  }
  if (set->total >= expected)
    fail(ErrorKind::kBadFile,
         "load: {}: shard {}-{:05}-of-{:05}.safetensors is missing; {} of {} are there, download the others",
         folder.string(), set->stem, expected, set->total, set->files.size(), set->total);
  return files;
}

void refuse_folder_without_weights(const fs::path& folder) {
  std::vector<std::string> pickles = names_with(folder, {".bin", ".pt", ".pth", ".ckpt"});
  std::erase_if(pickles, is_beside_the_model);
  std::error_code code;
  const bool adapter = fs::exists(folder / "adapter_config.json", code) ||
                       !names_with(folder, {"adapter_model.safetensors", "adapter_model.bin"}).empty();
  if (adapter && pickles.empty()) {
    const std::string base = read_base_model(folder / "adapter_config.json");
    fail(ErrorKind::kUnsupported,
         "load: {}: this is an adapter (LoRA), not a model; merge it into its base model{} first:\n"
         "  from peft import AutoPeftModelForCausalLM\n"
         "  AutoPeftModelForCausalLM.from_pretrained(\"{}\").merge_and_unload().save_pretrained(\"merged\")\n"
         "and copy the tokenizer's files into the new folder",
         folder.string(), base.empty() ? "" : " " + in_quotes(base), folder.string());
  }
  if (const auto gguf = names_with(folder, {".gguf"}); !gguf.empty()) {
    constexpr size_t kNamed = 5;
    const std::vector<std::string> others(gguf.begin() + 1, gguf.begin() + std::min(gguf.size(), kNamed));
    fail(ErrorKind::kInvalidArgument, "load: {}: got a folder of GGUF files, expected one of them; pass {}{}{}",
         folder.string(), (folder / gguf[0]).string(),
         others.empty() ? "" : fmt::format(", or in its place {}", fmt::join(others, ", ")),
         gguf.size() > kNamed ? ", ..." : "");
  }
  if (!pickles.empty())
    fail(ErrorKind::kUnsupported,
         "load: {}: the weights are pickled ({}). Reading a Python pickle can run any code that its author put in, so "
         "it is refused. Where you trust the author, convert it once:\n"
         "  import torch; from safetensors.torch import save_file\n"
         "  save_file({{k: v.clone().contiguous() for k, v in torch.load(\"{}\", weights_only=True).items()}}, "
         "\"model.safetensors\")\n"
         "or load it with transformers and call model.save_pretrained(FOLDER, safe_serialization=True)",
         folder.string(), in_quotes(pickles[0]), pickles[0]);
  fail(ErrorKind::kInvalidArgument,
       "load: {}: no weights: expected model.safetensors, or model-00001-of-0000N.safetensors and the other shards; "
       "pass the folder of a model, or download its weights into this one",
       folder.string());
}

}  // namespace vernier
