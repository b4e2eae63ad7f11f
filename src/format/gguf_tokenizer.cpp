#include "format/gguf_tokenizer.h"

#include <algorithm>
#include <cctype>
#include <limits>

#include "base/fail.h"
#include "format/gguf_special_tokens.h"
#include "format/tokenizer_pieces.h"

namespace vernier {

namespace {

// tokenizer.ggml.token_type
constexpr int32_t kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6;
// tokenizer.ggml.model
constexpr const char kBytePairs[] = "gpt2", kPieces[] = "llama";

constexpr float kScoreOfPadding = -10000;
// What llama.cpp takes where a file of pieces names none.
constexpr int32_t kUnknownPiece = 0, kBeginOfPieces = 1, kEndOfPieces = 2;

constexpr std::string_view kNamedTemplate = "tokenizer.chat_template.";

/// Nothing for an id outside the vocabulary, which llama.cpp leaves out with a warning too; -1 is how some say none.
std::optional<int32_t> optional_id(const GgufFile& file, const std::string& key, TokenizerModel& model,
                                   std::optional<int32_t> fallback = {}) {
  if (file.find(key) == nullptr)
    return fallback && std::cmp_less(*fallback, model.tokens.size()) ? fallback : std::nullopt;
  const int64_t id = file.get_int(key, std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max());
  if (id >= 0 && std::cmp_less(id, model.tokens.size())) return static_cast<int32_t>(id);
  if (id != -1 && id != std::numeric_limits<uint32_t>::max())
    model.warnings.push_back(fmt::format("tokenizer: {}: {} {} is outside the vocabulary of {} tokens; it is left out",
                                         model.origin, key, id, model.tokens.size()));
  return std::nullopt;
}

void add_chat_templates(GgufWriter& writer, const TokenizerModel& model) {
  if (!model.chat_template.empty()) writer.set("tokenizer.chat_template", model.chat_template);
  std::vector<std::string> names;
  for (const auto& [name, text] : model.named_templates) {
    writer.set(std::string(kNamedTemplate) + name, text);
    names.push_back(name);
  }
  if (!names.empty()) writer.set("tokenizer.chat_templates", names);
}

void read_chat_templates(const GgufFile& file, TokenizerModel& model) {
  if (file.find("tokenizer.chat_template") != nullptr) model.chat_template = file.get_string("tokenizer.chat_template");
  for (const GgufKeyValue& entry : file.values())
    if (entry.key.starts_with(kNamedTemplate))
      model.named_templates[entry.key.substr(kNamedTemplate.size())] = file.get_string(entry.key);
}

bool gguf_flag_or(const GgufFile& file, const char* key, bool fallback) {
  return file.find(key) == nullptr ? fallback : file.get_bool(key);
}

void read_merges(const GgufFile& file, TokenizerModel& model) {
  for (const std::string& merge : file.get_strings("tokenizer.ggml.merges")) {
    const auto space = merge.find(' ', 1);
    if (space == std::string::npos)
      fail(ErrorKind::kBadFile, "{}: tokenizer.ggml.merges: \"{}\": expected two parts", model.origin, merge);
    model.merges.emplace_back(merge.substr(0, space), merge.substr(space + 1));
  }
}

GgufPreTokenizer read_pre_tokenizer(const GgufFile& file, TokenizerModel& model) {
  // llama.cpp takes an empty name as none.
  const std::string named =
      file.find("tokenizer.ggml.pre") == nullptr ? std::string() : file.get_string("tokenizer.ggml.pre");
  if (named.empty() || named == kDefaultPreTokenizer)
    model.warnings.push_back(fmt::format(
        "{}: tokenizer.ggml.pre {}: text is cut by llama.cpp's default rule, which few models were trained with, and "
        "may get other ids than in training; convert the model again with a converter that names its pre-tokenizer",
        model.origin, named.empty() ? "is missing" : "is \"default\""));
  return pretokenizer_for_gguf(named.empty() ? kDefaultPreTokenizer : named);
}

/// Phi-3's control tokens take the whitespace behind them along, which a file has no place for: llama.cpp goes by the name.
void strip_as_named(const GgufFile& file, TokenizerModel& model) {
  if (file.find("general.name") == nullptr) return;
  std::string name = file.get_string("general.name");
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (name.find("phi-3") == std::string::npos && name.find("phi3") == std::string::npos) return;
  for (AddedToken& token : model.added)
    token.rstrip = token.content != "<unk>" && token.content != "<s>" && token.content != "<|endoftext|>";
}

}  // namespace

void add_tokenizer(GgufWriter& writer, const TokenizerModel& model, int64_t vocabulary, const std::string& pre) {
  if (static_cast<int64_t>(model.tokens.size()) > vocabulary)
    fail(ErrorKind::kInvalidArgument, "export: {}: {} tokens for a model with a vocabulary of {}; wrong tokenizer?",
         model.origin, model.tokens.size(), vocabulary);
  std::vector<std::string> tokens = model.tokens;
  tokens.resize(static_cast<size_t>(vocabulary));
  std::vector<int32_t> types(tokens.size(), kNormal);
  for (size_t id = 0; id < tokens.size(); ++id)
    if (tokens[id].empty()) {
      tokens[id] = fmt::format("[PAD{}]", id);
      types[id] = kUnused;
    }
  for (const AddedToken& token : model.added)
    types[static_cast<size_t>(token.id)] = token.special ? kControl : kUserDefined;
  if (model.has_scores()) {
    if (model.unknown_id) types[static_cast<size_t>(*model.unknown_id)] = kUnknown;
    for (size_t id = 0; id < tokens.size(); ++id)
      if (types[id] == kNormal && byte_of_piece(tokens[id])) types[id] = kByte;
  }
  std::vector<std::string> merges;
  for (const auto& [left, right] : model.merges) merges.push_back(fmt::format("{} {}", left, right));

  const auto check_around = [&](const std::vector<int32_t>& ids, bool expressible, const char* where,
                                const char* only) {
    if (!ids.empty() && (ids.size() > 1 || !expressible))
      fail(ErrorKind::kUnsupported,
           "export: {}: the post-processor puts {} tokens {} a text; a GGUF file can say {} only", model.origin,
           ids.size(), where, only);
  };
  check_around(model.prefix_ids, model.adds_bos(), "before", "BOS");
  check_around(model.suffix_ids, model.adds_eos(), "behind", "EOS");
  writer.set("tokenizer.ggml.model", std::string(model.has_scores() ? kPieces : kBytePairs));
  writer.set("tokenizer.ggml.pre", pre.empty() ? gguf_pre_name(model) : pre);
  writer.set("tokenizer.ggml.tokens", tokens);
  writer.set("tokenizer.ggml.token_type", types);
  if (model.has_scores()) {
    std::vector<float> scores = model.scores;
    scores.resize(tokens.size(), kScoreOfPadding);
    writer.set("tokenizer.ggml.scores", scores);
    writer.set("tokenizer.ggml.add_space_prefix", model.space_prefix != SpacePrefix::kNone);
  } else {
    writer.set("tokenizer.ggml.merges", merges);
  }
  if (model.bos_id) writer.set("tokenizer.ggml.bos_token_id", static_cast<uint32_t>(*model.bos_id));
  if (model.eos_id) writer.set("tokenizer.ggml.eos_token_id", static_cast<uint32_t>(*model.eos_id));
  writer.set("tokenizer.ggml.add_bos_token", model.adds_bos());
  writer.set("tokenizer.ggml.add_eos_token", model.adds_eos());
  for (const auto& [role, id] : place_special_tokens(model).ids)
    writer.set(gguf_role_key(role), static_cast<uint32_t>(id));
  add_chat_templates(writer, model);
}

TokenizerModel read_tokenizer(const GgufFile& file) {
  const std::string& kind = file.get_string("tokenizer.ggml.model");
  const bool pieces = kind == kPieces;
  if (!pieces && kind != kBytePairs)
    fail(ErrorKind::kUnsupported,
         "{}: tokenizer.ggml.model \"{}\"; supported: gpt2 (byte-level BPE), llama (SentencePiece's pairs)",
         file.path().string(), kind);
  TokenizerModel model;
  model.origin = file.path().string();
  model.tokens = file.get_strings("tokenizer.ggml.tokens");
  if (pieces)
    model.scores = file.get_floats("tokenizer.ggml.scores");
  else
    read_merges(file, model);
  if (pieces) model.unknown_id = optional_id(file, gguf_role_key("unknown"), model, kUnknownPiece);
  if (file.find("tokenizer.ggml.token_type") != nullptr) {
    const auto types = file.get_ints("tokenizer.ggml.token_type", 0, 6);
    if (types.size() != model.tokens.size())
      fail(ErrorKind::kBadFile, "{}: {} token types for {} tokens", model.origin, types.size(), model.tokens.size());
    for (size_t id = 0; id < types.size(); ++id)
      if (types[id] == kControl || types[id] == kUserDefined || (pieces && types[id] == kUnknown)) {
        AddedToken token;
        token.id = static_cast<int32_t>(id);
        token.content = model.tokens[id];
        token.special = types[id] != kUserDefined;
        model.added.push_back(token);
      }
  } else if (pieces) {
    fail(ErrorKind::kBadFile, "{}: no tokenizer.ggml.token_type, which tells bytes and control tokens from text",
         model.origin);
  }
  if (pieces) strip_as_named(file, model);
  const GgufPreTokenizer pre =
      pieces ? GgufPreTokenizer{.rules = {}, .adds_bos = true} : read_pre_tokenizer(file, model);
  if (pieces && gguf_flag_or(file, "tokenizer.ggml.add_space_prefix", true)) model.space_prefix = SpacePrefix::kParts;
  model.pre_tokenizer = pre.rules;
  model.ignore_merges = pre.ignore_merges;
  const auto id_unless_told = [&](int32_t id) { return pieces ? std::optional(id) : std::nullopt; };
  model.bos_id = optional_id(file, gguf_role_key("bos"), model, id_unless_told(kBeginOfPieces));
  model.eos_id = optional_id(file, gguf_role_key("eos"), model, id_unless_told(kEndOfPieces));
  for (const std::string_view role : gguf_roles())
    if (const auto id = optional_id(file, gguf_role_key(role), model)) model.special_ids.emplace(role, *id);
  if (model.bos_id) model.bos_token = model.tokens[static_cast<size_t>(*model.bos_id)];
  if (model.eos_id) model.eos_token = model.tokens[static_cast<size_t>(*model.eos_id)];
  if (model.bos_id && gguf_flag_or(file, "tokenizer.ggml.add_bos_token", pre.adds_bos))
    model.prefix_ids = {*model.bos_id};
  if (model.eos_id && gguf_flag_or(file, "tokenizer.ggml.add_eos_token", false)) model.suffix_ids = {*model.eos_id};
  read_chat_templates(file, model);
  return model;
}

}  // namespace vernier
