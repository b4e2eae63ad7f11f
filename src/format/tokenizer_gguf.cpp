// The pre-tokenizers that llama.cpp knows by name, as Hugging Face spells their expressions.

#include <array>

#include "base/fail.h"
#include "format/pretokenizer.h"
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
    {"exaone4", {}, true},
    {"modern-bert", {}, true},
    {"llama-bpe", {kLlama3}, false, true, true},
    {"llama3", {kLlama3}, false, true, true},
    {"llama-v3", {kLlama3}, false, true, true},
    {"falcon3", {kLlama3}, false, true, true},
    {"smaug-bpe", {kLlama3}},
    {"dbrx", {kLlama3}},
    {"chatglm-bpe", {kLlama3}},
    {"glm4", {kLlama3}},
    {"qwen2", {kQwen2}},
    {"stablelm2", {kQwen2}},
    {"hunyuan", {kQwen2}},
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
    {"deepseek-v3", {R"(\p{N}{1,3})", R"([一-龥぀-ゟ゠-ヿ]+)", kDeepseekWords}},
    {"hunyuan-dense", {R"(\p{N}{1,3})", R"([一-龥぀-ゟ゠-ヿ]+)", kDeepseekWords}},
    {"deepseek-coder", {R"([\r\n])", R"(\s?\p{L}+)", R"(\s?\p{P}+)", R"([一-龥ࠀ-一가-퟿]+)", kDigit}},
    {"bloom", {R"( ?[^(\s|[.,!?…。，、।۔،])]+)"}},
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
}  // namespace

std::string gguf_pre_name(const TokenizerModel& model) {
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
         "name the pre-tokenizer with --tokenizer-pre",
         model.origin, alike->name, alike->ignore_merges ? "on" : "off");
  }
  fail(ErrorKind::kUnsupported,
       "tokenizer: {}: no llama.cpp name is known for the pre-tokenizer expressions {}; name it with --tokenizer-pre",
       model.origin, describe(model.pre_tokenizer));
}

GgufPreTokenizer pretokenizer_for_gguf(std::string_view name) {
  std::string known;
  for (const Entry& entry : kEntries) {
    if (name != entry.name) {
      known.append(known.empty() ? "" : ", ").append(entry.name);
      continue;
    }
    GgufPreTokenizer result;
    for (const char* pattern : entry.patterns)
      if (pattern != nullptr) result.rules.splits.push_back({pattern});
    result.rules.use_gpt2_split = entry.gpt2_split;
    result.ignore_merges = entry.ignore_merges;
    result.adds_bos = entry.adds_bos;
    return result;
  }
  fail(ErrorKind::kUnsupported, "tokenizer: pre-tokenizer \"{}\" (tokenizer.ggml.pre) is unknown; known are {}", name,
       known);
}

}  // namespace vernier
