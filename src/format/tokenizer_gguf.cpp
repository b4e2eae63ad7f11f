// The pre-tokenizers that llama.cpp knows by name, as Hugging Face spells their expressions.

#include <algorithm>
#include <array>
#include <optional>
#include <set>

#include "base/fail.h"
#include "format/pretokenizer.h"
#include "format/pretokenizer_probe.h"
#include "format/tokenizer_bpe.h"
#include "vernier/tokenizer.h"

namespace vernier {
namespace {

constexpr const char* kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|)"
    R"(\s+(?!\S)|\s+)";
constexpr const char* kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|)"
    R"(\s+)";
constexpr const char* kQwen35 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|)"
    R"(\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kTekken = R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|)"
                                R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}|)"
                                R"( ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kGpt4o =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kDeepseekWords =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|)"
    R"(\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kDigit = R"(\p{N})";

struct Entry {
  const char* name;
  std::array<const char*, 5> patterns;  // isolated, in order
  bool gpt2_split = false;              // GPT-2's own expression after them
  bool ignore_merges = false;
  bool adds_bos = false;
};

// Of names that mean the same, the first is the one to write; the others are for reading.
constexpr Entry kEntries[] = {
    {"gpt-2", {}, true},
    {"phi-2", {}, true},
    {"mpt", {}, true},
    {"olmo", {}, true},
    {"jais", {}, true},
    {"trillion", {}, true},
    {"granite-docling", {}, true},
    {"gigachat", {}, true},
    {"a.x-4.0", {}, true},
    {"mellum", {}, true},
    {"exaone4", {}, true},
    {"modern-bert", {}, true},
    // What llama.cpp takes where a file names none; its GPT-2 expression stands in the middle.
    {kDefaultPreTokenizer, {R"([\p{P}\$\+<=>\^~\|]+)", kGpt2Pattern, R"(\p{N}+)", "[0-9][0-9][0-9]"}},
    {"llama-bpe", {kLlama3}, false, true, true},
    {"llama3", {kLlama3}, false, true, true},
    {"llama-v3", {kLlama3}, false, true, true},
    {"falcon3", {kLlama3}, false, true, true},
    {"falcon-h1", {kLlama3}, false, true, true},
    {"pixtral", {kLlama3}, false, true, true},
    {"midm-2.0", {kLlama3}, false, true, true},
    {"lfm2", {kLlama3}, false, true, true},
    {"smaug-bpe", {kLlama3}},
    {"dbrx", {kLlama3}},
    {"chatglm-bpe", {kLlama3}},
    {"glm4", {kLlama3}},
    {"qwen2", {kQwen2}},
    {"stablelm2", {kQwen2}},
    {"hunyuan", {kQwen2}},
    {"solar-open", {kQwen2}},
    {"megrez", {kQwen2}},
    {"deepseek-r1-qwen", {kQwen2}},
    {"grok-2", {kQwen2}},
    {"qwen35", {kQwen35}},
    {"smollm", {kDigit}, true},
    {"starcoder", {kDigit}, true},
    {"refact", {kDigit}, true},
    {"command-r", {kDigit}, true},
    {"codeshell", {kDigit}, true},
    {"exaone", {kDigit}, true},
    {"minerva-7b", {kDigit}, true},
    {"tekken", {kTekken}, false, true, true},
    {"gpt-4o", {kGpt4o}},
    {"llama4", {kGpt4o}},
    {"minimax-m2", {kGpt4o}},
    {"deepseek-v3", {R"(\p{N}{1,3})", R"([一-龥぀-ゟ゠-ヿ]+)", kDeepseekWords}},
    {"hunyuan-dense", {R"(\p{N}{1,3})", R"([一-龥぀-ゟ゠-ヿ]+)", kDeepseekWords}},
    {"deepseek-coder", {R"([\r\n])", R"(\s?\p{L}+)", R"(\s?\p{P}+)", R"([一-龥ࠀ-一가-퟿]+)", kDigit}},
    {"bloom", {R"( ?[^(\s|[.,!?…。，、।۔،])]+)"}},
    {"poro-chat", {R"( ?[^(\s|[.,!?…。，、।۔،])]+)"}},
    {"gpt3-finnish", {R"( ?[^(\s|[.,!?…。，、।۔،])]+)"}},
};

// tokenizer.json holds line breaks in expressions both escaped and as they are.
std::string canonical(const std::string& pattern) {
  std::string result;
  for (const char c : pattern) {
    if (c == '\r') {
      result += "\\r";
    } else if (c == '\n') {
      result += "\\n";
    } else {
      result += c;
    }
  }
  return result;
}

bool cuts_alike(const Entry& entry, const PreTokenizerRules& rules) {
  if (entry.gpt2_split != rules.use_gpt2_split || rules.add_prefix_space) return false;
  size_t count = 0;
  while (count < entry.patterns.size() && entry.patterns[count] != nullptr) ++count;
  if (count != rules.splits.size()) return false;
  for (size_t i = 0; i < count; ++i) {
    const SplitRule& rule = rules.splits[i];
    // The expressions that end in \s+ match every character, so nothing lies between their matches to be removed.
    const bool covers_all = count == 1 && canonical(rule.pattern).ends_with("|\\s+");
    const bool isolated = rule.behavior == SplitBehavior::kIsolated ||
                          (covers_all && rule.behavior == SplitBehavior::kRemoved && rule.invert);
    if (!isolated || canonical(rule.pattern) != canonical(entry.patterns[i])) return false;
  }
  return true;
}

std::string describe(const PreTokenizerRules& rules) {
  std::string text;
  for (const SplitRule& rule : rules.splits) text += (text.empty() ? "\"" : ", \"") + rule.pattern + "\"";
  if (rules.use_gpt2_split) text += text.empty() ? "GPT-2's" : ", GPT-2's";
  if (rules.add_prefix_space) text += " with add_prefix_space";
  return text.empty() ? "none" : text;
}

GgufPreTokenizer pre_tokenizer_of(const Entry& entry) {
  GgufPreTokenizer result;
  for (const char* pattern : entry.patterns)
    if (pattern != nullptr) result.rules.splits.push_back({pattern});
  result.rules.use_gpt2_split = entry.gpt2_split;
  result.ignore_merges = entry.ignore_merges;
  result.adds_bos = entry.adds_bos;
  return result;
}

const Entry* find_entry(std::string_view name) {
  const auto found =
      std::find_if(std::begin(kEntries), std::end(kEntries), [&](const Entry& entry) { return name == entry.name; });
  return found == std::end(kEntries) ? nullptr : found;
}

std::string known_names() {
  std::string names;
  for (const Entry& entry : kEntries) names.append(names.empty() ? "" : ", ").append(entry.name);
  return names;
}

/// Finds names by what they do to the probe. add_prefix_space is left out: no name stands for it.
class NameFinder {
 public:
  explicit NameFinder(const TokenizerModel& model) : model_(model) {
    PreTokenizerRules rules = model.pre_tokenizer;
    rules.add_prefix_space = false;
    words_ = probe_words(rules, model.origin);
  }

  std::optional<SplitDifference> difference(const Entry& entry) const {
    return first_split_difference(probe_words(pre_tokenizer_of(entry).rules, entry.name), words_);
  }
  bool merges_alike(const Entry& entry) {
    if (entry.ignore_merges == model_.ignore_merges) return true;
    if (!reaches_all_) reaches_all_ = BytePairEncoder(model_).merges_reach_all_words(model_);
    return *reaches_all_;
  }
  /// Of names that mean the same the first. "" when there is none.
  std::string names() {
    std::string names;
    std::set<std::vector<std::string>> seen;
    for (const Entry& entry : kEntries) {
      std::vector<std::string> meaning{entry.gpt2_split ? "1" : "0", entry.ignore_merges ? "1" : "0"};
      for (const char* pattern : entry.patterns)
        if (pattern != nullptr) meaning.push_back(pattern);
      if (!seen.insert(meaning).second || difference(entry) || !merges_alike(entry)) continue;
      names.append(names.empty() ? "" : ", ").append(entry.name);
    }
    return names;
  }

 private:
  const TokenizerModel& model_;
  std::vector<std::string> words_;
  std::optional<bool> reaches_all_;
};
}  // namespace

std::string gguf_pre_name(const TokenizerModel& model) {
  if (model.has_scores())
    return kDefaultPreTokenizer;  // nothing is cut before pieces, and that is what converters write
  const Entry* alike = nullptr;
  for (const Entry& entry : kEntries) {
    if (!cuts_alike(entry, model.pre_tokenizer)) continue;
    if (entry.ignore_merges == model.ignore_merges) return entry.name;
    if (alike == nullptr) alike = &entry;
  }
  if (alike != nullptr) {
    if (BytePairEncoder(model).merges_reach_all_words(model)) return alike->name;
    fail(ErrorKind::kUnsupported,
         "tokenizer: {}: llama.cpp cuts words alike under \"{}\" but with ignore_merges {}, which changes ids here; "
         "--tokenizer-pre {} --tokenizer-pre-unchecked writes that name all the same",
         model.origin, alike->name, alike->ignore_merges ? "on" : "off", alike->name);
  }
  const std::string names = NameFinder(model).names();
  fail(ErrorKind::kUnsupported, "tokenizer: {}: no llama.cpp name is known for the pre-tokenizer expressions {}; {}",
       model.origin, describe(model.pre_tokenizer),
       names.empty() ? "none of the known ones cuts a probe text alike; if one of llama.cpp's is right, write it with "
                       "--tokenizer-pre and --tokenizer-pre-unchecked"
                     : fmt::format("on a probe text they cut as {} does{}: give that name with --tokenizer-pre", names,
                                   model.pre_tokenizer.add_prefix_space ? ", but for add_prefix_space" : ""));
}

void check_gguf_pre_name(const TokenizerModel& model, const std::string& name) {
  if (model.has_scores()) {
    if (name == kDefaultPreTokenizer) return;
    fail(ErrorKind::kInvalidArgument,
         "tokenizer: pre-tokenizer \"{}\" (--tokenizer-pre): nothing is cut before {}'s pieces are put together; leave "
         "it out",
         name, model.origin);
  }
  const Entry* entry = find_entry(name);
  if (entry == nullptr)
    fail(
        ErrorKind::kInvalidArgument,
        "tokenizer: pre-tokenizer \"{}\" (--tokenizer-pre): unknown; known are {}; --tokenizer-pre-unchecked writes it "
        "as it is",
        name, known_names());
  if (cuts_alike(*entry, model.pre_tokenizer) && entry->ignore_merges == model.ignore_merges) return;
  NameFinder finder(model);
  const auto split = finder.difference(*entry);
  if (!split && finder.merges_alike(*entry)) return;
  const std::string names = finder.names();
  const std::string next =
      (names.empty() ? "no known name does as the tokenizer" : fmt::format("the tokenizer does as {}", names)) +
      "; --tokenizer-pre-unchecked writes the name all the same";
  if (split)
    fail(ErrorKind::kInvalidArgument, "tokenizer: pre-tokenizer \"{}\" (--tokenizer-pre): cuts {} where {} cuts {}; {}",
         name, quoted(split->a), model.origin, quoted(split->b), next);
  fail(ErrorKind::kInvalidArgument,
       "tokenizer: pre-tokenizer \"{}\" (--tokenizer-pre): has ignore_merges {}, unlike {}, which changes ids here; {}",
       name, entry->ignore_merges ? "on" : "off", model.origin, next);
}

GgufPreTokenizer pretokenizer_for_gguf(std::string_view name) {
  const Entry* entry = find_entry(name);
  if (entry == nullptr)
    fail(ErrorKind::kUnsupported, "tokenizer: pre-tokenizer \"{}\" (tokenizer.ggml.pre) is unknown; known are {}", name,
         known_names());
  return pre_tokenizer_of(*entry);
}

std::vector<std::string> gguf_pre_names() {
  std::vector<std::string> names;
  for (const Entry& entry : kEntries) names.push_back(entry.name);
  return names;
}

}  // namespace vernier
