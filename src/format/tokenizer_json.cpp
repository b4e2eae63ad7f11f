// Reads Hugging Face's tokenizer.json and tokenizer_config.json into a TokenizerModel.

#include <algorithm>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include "base/fail.h"
#include "base/json.h"
#include "format/pretokenizer_syntax.h"
#include "format/tokenizer_pieces.h"
#include "format/tokenizer_text.h"
#include "vernier/tokenizer.h"

namespace vernier {
namespace {

constexpr int64_t kMaxIdGap = 65536;  // bounds what a hostile id can make us allocate
constexpr const char* kSupportedTokenizers =
    "supported are byte-level BPE, as in GPT-2, Llama 3, Qwen and CLIP, and SentencePiece's pairs, as in Llama 2";

SortedJson parse_object(std::string_view text, const std::string& origin) {
  SortedJson value = parse_sorted_json(text, "tokenizer: " + origin);
  if (!value.is_object())
    fail(ErrorKind::kBadFile, "tokenizer: {}: expected a JSON object, got {}", origin, value.type_name());
  return value;
}

// A JSON object and the path that led to it, for messages.
class Node {
 public:
  Node(const SortedJson& value, std::string path) : value_(value), path_(std::move(path)) {
    if (!value.is_object()) wrong(value, path_, "an object");
  }

  const SortedJson* find(const char* key) const {
    const auto it = value_.find(key);
    return it == value_.end() || it->is_null() ? nullptr : &*it;
  }
  std::string path(const char* key) const { return path_ + "." + key; }
  const std::string& path() const { return path_; }

  Node child(const char* key) const { return Node(need(key), path(key)); }
  const SortedJson& array(const char* key) const {
    const SortedJson& value = need(key);
    if (!value.is_array()) wrong(value, path(key), "an array");
    return value;
  }
  std::string string(const char* key) const {
    const SortedJson& value = need(key);
    if (!value.is_string()) wrong(value, path(key), "a string");
    return value.get<std::string>();
  }
  std::string string_or(const char* key, const char* fallback) const { return find(key) ? string(key) : fallback; }
  bool boolean(const char* key, bool fallback) const {
    const SortedJson* value = find(key);
    if (value == nullptr) return fallback;
    if (!value->is_boolean()) wrong(*value, path(key), "true or false");
    return value->get<bool>();
  }

  [[noreturn]] static void wrong(const SortedJson& value, const std::string& path, const char* expected) {
    fail(ErrorKind::kBadFile, "tokenizer: {}: expected {}, got {}", path, expected, value.type_name());
  }

 private:
  const SortedJson& need(const char* key) const {
    const SortedJson* value = find(key);
    if (value == nullptr) fail(ErrorKind::kBadFile, "tokenizer: {} is missing", path(key));
    return *value;
  }

  const SortedJson& value_;
  std::string path_;
};

[[noreturn]] void unsupported(const std::string& path, const std::string& found,
                              const char* supported = kSupportedTokenizers) {
  fail(ErrorKind::kUnsupported, "tokenizer: {}: found {}; {}", path, shorten(found), supported);
}

int32_t read_id(const SortedJson& value, const std::string& path, int64_t end) {
  if (!value.is_number_integer()) Node::wrong(value, path, "an integer id");
  // Unsigned numbers beyond int64 must not wrap into the range.
  const bool huge = value.is_number_unsigned() && value.get<uint64_t>() >= static_cast<uint64_t>(end);
  if (huge || value.get<int64_t>() < 0 || value.get<int64_t>() >= end)
    fail(ErrorKind::kBadFile, "tokenizer: {}: expected an id in [0, {}), got {}", path, end, value.dump());
  return value.get<int32_t>();
}

void put_token(TokenizerModel& model, int32_t id, const std::string& token) {
  if (static_cast<size_t>(id) >= model.tokens.size()) model.tokens.resize(static_cast<size_t>(id) + 1);
  if (!model.tokens[id].empty() && model.tokens[id] != token)
    fail(ErrorKind::kBadFile, "tokenizer: {}: id {} belongs to both \"{}\" and \"{}\"", model.origin, id,
         shorten(model.tokens[id]), shorten(token));
  model.tokens[id] = token;
}

using IdMap = std::unordered_map<std::string, int32_t>;

IdMap read_vocabulary(const Node& bpe, const SortedJson& added, TokenizerModel& model) {
  const Node vocabulary = bpe.child("vocab");
  const SortedJson& entries = *bpe.find("vocab");
  const int64_t end = static_cast<int64_t>(entries.size() + added.size()) + kMaxIdGap;
  IdMap ids;
  ids.reserve(entries.size());
  for (const auto& [token, id] : entries.items()) {
    const int32_t number = read_id(id, vocabulary.path() + "[\"" + shorten(token) + "\"]", end);
    put_token(model, number, token);
    ids.emplace(token, number);
  }
  std::unordered_set<int32_t> seen;
  for (size_t i = 0; i < added.size(); ++i) {
    const Node entry(added[i], model.origin + ": added_tokens[" + std::to_string(i) + "]");
    AddedToken token;
    token.content = entry.string("content");
    token.special = entry.boolean("special", false);
    token.lstrip = entry.boolean("lstrip", false);
    token.rstrip = entry.boolean("rstrip", false);
    token.single_word = entry.boolean("single_word", false);
    token.normalized = entry.boolean("normalized", !token.special);
    if (entry.find("id") == nullptr) fail(ErrorKind::kBadFile, "tokenizer: {} is missing", entry.path("id"));
    token.id = read_id(*entry.find("id"), entry.path("id"), end);
    const auto [known, fresh] = ids.emplace(token.content, token.id);
    if (!fresh && known->second != token.id)
      fail(ErrorKind::kBadFile, "tokenizer: {}: \"{}\" has id {} here and id {} elsewhere", entry.path(),
           shorten(token.content), token.id, known->second);
    put_token(model, token.id, token.content);
    if (seen.insert(token.id).second) model.added.push_back(std::move(token));
  }
  return ids;
}

void read_merges(const Node& bpe, const IdMap& ids, TokenizerModel& model) {
  const SortedJson& merges = bpe.array("merges");
  model.merges.reserve(merges.size());
  std::string joined;
  for (size_t i = 0; i < merges.size(); ++i) {
    const auto path = [&] { return fmt::format("{}[{}]", bpe.path("merges"), i); };
    const SortedJson& merge = merges[i];
    std::pair<std::string, std::string> pair;
    if (merge.is_string()) {
      const auto& text = merge.get_ref<const std::string&>();
      if (text.starts_with("#version")) continue;
      const size_t space = text.find(' ');
      if (space == text.npos || text.find(' ', space + 1) != text.npos)
        fail(ErrorKind::kBadFile, "tokenizer: {}: expected two tokens and one space, got \"{}\"", path(),
             shorten(text));
      pair = {text.substr(0, space), text.substr(space + 1)};
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      pair = {merge[0].get<std::string>(), merge[1].get<std::string>()};
    } else {
      Node::wrong(merge, path(), "\"a b\" or [\"a\", \"b\"]");
    }
    joined.assign(pair.first).append(pair.second);
    for (const std::string* token : {&pair.first, &pair.second, &joined})
      if (token->empty() || !ids.contains(*token))
        fail(ErrorKind::kBadFile, "tokenizer: {} (\"{}\" + \"{}\"): \"{}\" is not in the vocabulary of {} tokens",
             path(), shorten(pair.first), shorten(pair.second), shorten(*token), ids.size());
    model.merges.push_back(std::move(pair));
  }
}

/// Every token by the first merge that makes it, those that none makes behind them: what a GGUF file says in place of merges.
void score_pieces(const IdMap& ids, TokenizerModel& model) {
  model.scores.assign(model.tokens.size(), -static_cast<float>(model.merges.size()));
  for (size_t rank = model.merges.size(); rank-- > 0;) {
    const auto& [left, right] = model.merges[rank];
    model.scores[static_cast<size_t>(ids.at(left + right))] = -static_cast<float>(rank);
  }
}

void read_model(const Node& root, bool pieces, TokenizerModel& model) {
  const Node bpe = root.child("model");
  const std::string type = bpe.string_or("type", bpe.find("merges") ? "BPE" : "a model without type");
  if (type != "BPE") unsupported(bpe.path("type"), type);
  if (const char* key = "continuing_subword_prefix"; !bpe.string_or(key, "").empty())
    unsupported(bpe.path(key), "\"" + bpe.string(key) + "\"", "supported is BPE without prefixes");
  model.word_end = bpe.string_or("end_of_word_suffix", "");
  const SortedJson* dropout = bpe.find("dropout");
  if (dropout != nullptr && !(dropout->is_number() && dropout->get<double>() == 0.0))
    unsupported(bpe.path("dropout"), dropout->dump(), "supported are deterministic merges, without dropout");

  static const SortedJson none = SortedJson::array();
  const IdMap ids = read_vocabulary(bpe, root.find("added_tokens") ? root.array("added_tokens") : none, model);
  read_merges(bpe, ids, model);
  model.ignore_merges = bpe.boolean("ignore_merges", false);
  model.fuse_unknown = bpe.boolean("fuse_unk", false);
  const std::string unknown = bpe.string_or("unk_token", "");
  if (!unknown.empty()) {
    const auto id = ids.find(unknown);
    if (id == ids.end())
      fail(ErrorKind::kBadFile, "tokenizer: {}: \"{}\" is not in the vocabulary", bpe.path("unk_token"),
           shorten(unknown));
    model.unknown_id = id->second;
  }
  const bool falls_back = bpe.boolean("byte_fallback", false);
  if (pieces) {
    if (!falls_back) unsupported(bpe.path("byte_fallback"), "false", "supported are pieces that fall back to bytes");
    for (int byte = 0; byte < 256; ++byte)
      if (const std::string token = fmt::format("<0x{:02X}>", byte); !ids.contains(token))
        unsupported(bpe.path("byte_fallback"), fmt::format("true, and no token {}", token));
    if (!model.word_end.empty() || model.ignore_merges)
      unsupported(bpe.path(), "pieces with ends of words, or with ignore_merges");
    score_pieces(ids, model);
    return;
  }
  // With all bytes in the vocabulary the fallback never happens.
  if (falls_back)
    for (const std::string& byte : byte_alphabet())
      if (!ids.contains(byte)) unsupported(bpe.path("byte_fallback"), "true, and byte \"" + byte + "\" has no token");
}

// A step that is a Sequence is its steps; null is no step.
void flatten(const SortedJson* step, const std::string& path, const char* list_key, std::vector<Node>& steps) {
  if (step == nullptr) return;
  const Node node(*step, path);
  if (node.string("type") != "Sequence") {
    steps.push_back(node);
    return;
  }
  const SortedJson& list = node.array(list_key);
  for (size_t i = 0; i < list.size(); ++i)
    flatten(&list[i], fmt::format("{}[{}]", node.path(list_key), i), list_key, steps);
}

constexpr const char* kSupportedNormalizers =
    "supported normalizers are NFC, runs of whitespace to one space, Lowercase, in this order, and those of "
    "SentencePiece's pairs alone: Prepend of \"▁\", then Replace of spaces by it";

/// Whether spaces become "▁", as those of pieces do.
bool spells_pieces(const std::vector<Node>& steps) {
  if (steps.empty() || steps.back().string("type") != "Replace") return false;
  const Node& last = steps.back();
  return last.child("pattern").string_or("String", "") == " " && last.string("content") == kPieceSpace;
}

/// @return whether the tokens are pieces
bool read_normalizer(const Node& root, TokenizerModel& model) {
  std::vector<Node> steps;
  flatten(root.find("normalizer"), root.path("normalizer"), "normalizers", steps);
  if (spells_pieces(steps)) {
    for (size_t i = 0; i + 1 < steps.size(); ++i) {
      if (i > 0 || steps[i].string("type") != "Prepend" || steps[i].string("prepend") != kPieceSpace)
        unsupported(steps[i].path(), steps[i].string("type"), kSupportedNormalizers);
      model.space_prefix = SpacePrefix::kParts;
    }
    return true;
  }
  // In this order, since lower case can take a text out of form C.
  const auto take = [](const Node& step, bool& flag, bool later) {
    if (later) unsupported(step.path(), step.string("type") + " behind a later one", kSupportedNormalizers);
    flag = true;
  };
  for (const Node& step : steps) {
    const std::string type = step.string("type");
    if (type == "NFC") {
      take(step, model.nfc, model.one_space || model.lowercase);
    } else if (type == "Lowercase") {
      take(step, model.lowercase, false);
    } else if (type == "Replace" && step.child("pattern").string_or("Regex", "") == "\\s+" &&
               step.string("content") == " ") {
      take(step, model.one_space, model.lowercase);
    } else {
      unsupported(step.path(), type, kSupportedNormalizers);
    }
  }
  return false;
}

SplitBehavior read_behavior(const Node& step) {
  const std::string name = step.string("behavior");
  if (name == "Isolated") return SplitBehavior::kIsolated;
  if (name == "Removed") return SplitBehavior::kRemoved;
  if (name == "MergedWithPrevious") return SplitBehavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return SplitBehavior::kMergedWithNext;
  if (name == "Contiguous") return SplitBehavior::kContiguous;
  fail(ErrorKind::kBadFile, "tokenizer: {}: unknown behavior \"{}\"", step.path("behavior"), shorten(name));
}

/// Metaspace alone, which spells pieces without a normalizer. @return whether it is there
bool read_metaspace(const Node& root, TokenizerModel& model) {
  std::vector<Node> steps;
  flatten(root.find("pre_tokenizer"), root.path("pre_tokenizer"), "pretokenizers", steps);
  if (steps.size() != 1 || steps[0].string("type") != "Metaspace") return false;
  const Node& step = steps[0];
  if (step.string("replacement") != kPieceSpace)
    unsupported(step.path("replacement"), step.string("replacement"), "supported is \"\u2581\"");
  if (step.boolean("split", true))
    unsupported(step.path("split"), "true", "supported are pieces of whole texts, with false");
  // Files of before 0.15 have a flag in place of the scheme.
  const std::string scheme =
      step.string_or("prepend_scheme", step.boolean("add_prefix_space", true) ? "always" : "never");
  if (scheme == "always")
    model.space_prefix = SpacePrefix::kPartsWithout;
  else if (scheme == "first")
    model.space_prefix = SpacePrefix::kTextWithout;
  else if (scheme != "never")
    fail(ErrorKind::kBadFile, "tokenizer: {}: unknown scheme \"{}\"", step.path("prepend_scheme"), shorten(scheme));
  return true;
}

/// A split at spaces, which pieces no longer have, does nothing.
void check_pre_tokenizer_of_pieces(const Node& root) {
  std::vector<Node> steps;
  flatten(root.find("pre_tokenizer"), root.path("pre_tokenizer"), "pretokenizers", steps);
  for (const Node& step : steps) {
    const std::string type = step.string("type");
    if (type != "Split" || step.child("pattern").string_or("String", "") != " ")
      unsupported(step.path(), type,
                  "supported before pieces are no pre-tokenizer, a Split at spaces, and Metaspace alone, without a "
                  "normalizer that spells them");
  }
}

void read_pre_tokenizer(const Node& root, TokenizerModel& model) {
  std::vector<Node> steps;
  flatten(root.find("pre_tokenizer"), root.path("pre_tokenizer"), "pretokenizers", steps);
  PreTokenizerRules& rules = model.pre_tokenizer;
  bool byte_level = false;
  for (const Node& step : steps) {
    const std::string type = step.string("type");
    if (byte_level) unsupported(step.path(), type + " behind ByteLevel", "supported is ByteLevel as the last step");
    if (type == "ByteLevel") {
      byte_level = true;
      rules.add_prefix_space = step.boolean("add_prefix_space", true);
      rules.use_gpt2_split = step.boolean("use_regex", true);
    } else if (type == "Split") {
      const Node pattern = step.child("pattern");
      const bool is_regex = pattern.find("Regex") != nullptr;
      rules.splits.push_back({is_regex ? pattern.string("Regex") : escape_pattern(pattern.string("String")),
                              read_behavior(step), step.boolean("invert", false)});
    } else if (type == "Digits") {
      const bool individual = step.boolean("individual_digits", false);
      rules.splits.push_back({"\\p{N}", individual ? SplitBehavior::kIsolated : SplitBehavior::kContiguous});
    } else if (type == "Punctuation") {
      const bool named = step.find("behavior") != nullptr;
      rules.splits.push_back({R"([\p{P}!-/:-@\[-`{-~])", named ? read_behavior(step) : SplitBehavior::kIsolated});
    } else {
      unsupported(step.path(), type, "supported pre-tokenizers are ByteLevel, Split, Digits and Punctuation");
    }
  }
  if (!byte_level) unsupported(root.path("pre_tokenizer"), "no ByteLevel step");
}

// Far more than any model puts around a text.
constexpr size_t kMostTemplateIds = 4096;

// Wraps what the steps so far put around the sequence.
void read_template(const Node& step, TokenizerModel& model) {
  static const SortedJson none = SortedJson::object();
  const SortedJson* listed = step.find("special_tokens");
  const Node known(listed != nullptr ? *listed : none, step.path("special_tokens"));
  std::vector<int32_t> before, after;
  bool seen_sequence = false;
  const SortedJson& parts = step.array("single");
  for (size_t i = 0; i < parts.size(); ++i) {
    const Node part(parts[i], fmt::format("{}[{}]", step.path("single"), i));
    if (part.find("Sequence") != nullptr) {
      if (seen_sequence || part.child("Sequence").string("id") != "A")
        fail(ErrorKind::kBadFile, "tokenizer: {}: a template of one sequence names another one", part.path());
      seen_sequence = true;
      continue;
    }
    const std::string name = part.child("SpecialToken").string("id");
    const Node token = known.child(name.c_str());
    const SortedJson& ids = token.array("ids");
    if (before.size() + after.size() + ids.size() > kMostTemplateIds)
      fail(ErrorKind::kBadFile, "tokenizer: {}: puts more than {} tokens around a text", step.path("single"),
           kMostTemplateIds);
    for (const SortedJson& id : ids)
      (seen_sequence ? after : before)
          .push_back(read_id(id, token.path("ids"), static_cast<int64_t>(model.tokens.size())));
  }
  if (!seen_sequence) fail(ErrorKind::kBadFile, "tokenizer: {}: the sequence itself is missing", step.path("single"));
  model.prefix_ids.insert(model.prefix_ids.begin(), before.begin(), before.end());
  model.suffix_ids.insert(model.suffix_ids.end(), after.begin(), after.end());
}

void read_post_processor(const Node& root, TokenizerModel& model) {
  std::vector<Node> steps;
  flatten(root.find("post_processor"), root.path("post_processor"), "processors", steps);
  for (const Node& step : steps) {
    const std::string type = step.string("type");
    if (type == "ByteLevel") continue;  // offsets only
    if (type == "TemplateProcessing") {
      read_template(step, model);
    } else if (type == "RobertaProcessing" || type == "BertProcessing") {
      const auto id = [&](const char* key) {
        const SortedJson& pair = step.array(key);  // [content, id]
        if (pair.size() != 2) Node::wrong(pair, step.path(key), "a token and its id");
        return read_id(pair[1], step.path(key), static_cast<int64_t>(model.tokens.size()));
      };
      model.prefix_ids.insert(model.prefix_ids.begin(), id("cls"));
      model.suffix_ids.push_back(id("sep"));
    } else {
      unsupported(step.path(), type, "supported post-processors are TemplateProcessing, Roberta-, BertProcessing");
    }
  }
}

// bos_token and the like: a string, or an object with "content".
std::string read_special_token(const Node& config, const char* key) {
  const SortedJson* value = config.find(key);
  if (value == nullptr) return "";
  return value->is_object() ? Node(*value, config.path(key)).string("content") : config.string(key);
}

// Tokens without a part in ids: the key in tokenizer_config.json and the role's name in GGUF, in its spelling.
constexpr std::pair<const char*, const char*> kRoleKeys[] = {{"pad_token", "padding"},
                                                             {"unk_token", "unknown"},
                                                             {"sep_token", "seperator"},
                                                             {"cls_token", "cls"},
                                                             {"mask_token", "mask"}};

// One template, or a list of named ones; without a default one the first counts as that too.
void read_chat_templates(const Node& config, TokenizerModel& model) {
  const SortedJson* value = config.find("chat_template");
  if (value == nullptr) return;
  if (value->is_string()) {
    if (!value->get_ref<const std::string&>().empty()) model.chat_template = value->get<std::string>();
    return;
  }
  std::map<std::string, std::string> named;
  std::string first;
  const auto add = [&](const std::string& name, std::string text) {
    if (first.empty()) first = text;
    named[name] = std::move(text);
  };
  if (value->is_object()) {
    const Node all = config.child("chat_template");
    for (const auto& entry : value->items()) add(entry.key(), all.string(entry.key().c_str()));
  } else {
    const SortedJson& list = config.array("chat_template");
    for (size_t i = 0; i < list.size(); ++i) {
      const Node entry(list[i], fmt::format("{}[{}]", config.path("chat_template"), i));
      add(entry.string("name"), entry.string("template"));
    }
  }
  const auto chosen = named.extract("default");
  if (const std::string& text = chosen ? chosen.mapped() : first; !text.empty()) model.chat_template = text;
  for (auto& [name, text] : named) model.named_templates[name] = std::move(text);
}
}  // namespace

TokenizerModel parse_tokenizer_json(std::string_view text, const std::string& origin) {
  const SortedJson json = parse_object(text, origin);
  const Node root(json, origin + ": tokenizer");
  TokenizerModel model;
  model.origin = origin;
  // The steps come first: they say what kind of tokenizer this is, and are cheaper than the vocabulary.
  bool pieces = read_normalizer(root, model);
  if (pieces)
    check_pre_tokenizer_of_pieces(root);
  else if (read_metaspace(root, model))
    pieces = true;
  else
    read_pre_tokenizer(root, model);
  read_model(root, pieces, model);
  read_post_processor(root, model);
  return model;
}

void merge_tokenizer_config(TokenizerModel& model, std::string_view text, const std::string& origin) {
  const SortedJson json = parse_object(text, origin);
  const Node config(json, origin + ": tokenizer_config");
  const auto id_of = [&](const std::string& token) -> std::optional<int32_t> {
    if (token.empty()) return std::nullopt;
    const auto found = std::find(model.tokens.begin(), model.tokens.end(), token);
    if (found == model.tokens.end()) return std::nullopt;
    return static_cast<int32_t>(found - model.tokens.begin());
  };
  const auto read = [&](const char* key) {
    const std::string token = read_special_token(config, key);
    const auto id = id_of(token);
    if (!token.empty() && !id)
      model.warnings.push_back(fmt::format("tokenizer: {}: {} \"{}\" is not in the vocabulary; it is left out", origin,
                                           key, shorten(token)));
    return std::pair(token, id);
  };
  if (config.find("bos_token") != nullptr) std::tie(model.bos_token, model.bos_id) = read("bos_token");
  if (config.find("eos_token") != nullptr) std::tie(model.eos_token, model.eos_id) = read("eos_token");
  for (const auto& [key, role] : kRoleKeys) {
    const SortedJson* value = config.find(key);
    if (value == nullptr) continue;
    if (!value->is_string() && !value->is_object())  // kept, not used: no reason to refuse the tokenizer
      model.warnings.push_back(fmt::format("tokenizer: {}: expected a token, got {}; it is left out", config.path(key),
                                           value->dump().substr(0, 60)));
    else if (const auto id = read(key).second)
      model.special_ids[role] = *id;
  }
  read_chat_templates(config, model);

  const bool no_template = model.prefix_ids.empty() && model.suffix_ids.empty();
  if (!config.boolean("add_bos_token", true) && model.adds_bos()) model.prefix_ids.erase(model.prefix_ids.begin());
  if (!config.boolean("add_eos_token", true) && model.adds_eos()) model.suffix_ids.pop_back();
  if (no_template && config.boolean("add_bos_token", false) && model.bos_id) model.prefix_ids = {*model.bos_id};
  if (no_template && config.boolean("add_eos_token", false) && model.eos_id) model.suffix_ids = {*model.eos_id};
}

}  // namespace vernier
