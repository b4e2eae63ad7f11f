#pragma once

// Text to token ids and back, for byte-level BPE: the tokenizers of GPT-2, Llama 3, Qwen, CLIP and most models since; and
// for SentencePiece's pairs: those of Llama 2, Mistral 7B, Phi-3 and Gemma. TokenizerModel is plain data, filled from a
// Hugging Face folder or from a GGUF file; Tokenizer runs it.
//
//   Tokenizer tokenizer(load_tokenizer_model("models/demo"));
//   std::vector<int32_t> ids = tokenizer.encode("Hello, world!");   // with BOS when the model wants one
//   std::string text = tokenizer.decode(ids);
//
// The ids are those of Hugging Face's `tokenizers` package, of scores in a GGUF file those of llama.cpp; the functions say
// where they differ on purpose.

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vernier {

/// A token found in the text before anything else is split.
struct AddedToken {
  int32_t id = 0;
  std::string content = {};  ///< UTF-8, as in the text
  bool special = false;      ///< control token: ordinary text when EncodeOptions::parse_special is off
  bool lstrip = false;       ///< takes the whitespace before it along
  bool rstrip = false;       ///< takes the whitespace behind it along
  bool single_word = false;  ///< only where no word character touches it
  bool normalized = false;   ///< looked for in the normalized text, in normalized form
};

/// What becomes of the stretches that an expression matches.
enum class SplitBehavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

struct SplitRule {
  std::string pattern;  ///< regular expression in Oniguruma's syntax, as in tokenizer.json
  SplitBehavior behavior = SplitBehavior::kIsolated;
  bool invert = false;  ///< the stretches between the matches count as the matches

  bool operator==(const SplitRule&) const = default;
};

/// How text is cut into the words that merges never cross: the rules in order, then the byte-level step.
struct PreTokenizerRules {
  std::vector<SplitRule> splits = {};
  bool add_prefix_space = false;  ///< a space before every piece that does not start with one
  bool use_gpt2_split = false;    ///< ends with GPT-2's own expression (`use_regex` of ByteLevel)
};

/// Where a tokenizer of pieces puts a space of its own.
enum class SpacePrefix {
  kNone,
  kParts,         ///< before a text and behind every added token: llama.cpp's, and Hugging Face's Prepend
  kPartsWithout,  ///< there, but not before one that is there already: its Metaspace with "always"
  kTextWithout,   ///< so before a text alone, which no added token begins: its Metaspace with "first"
};

/// Everything a tokenizer.json says that matters for text and ids (its truncation and padding are ignored on purpose).
struct TokenizerModel {
  std::string origin = "tokenizer";  ///< names the source in messages
  /// By id, in the byte-level alphabet (a space is "Ġ"); added tokens verbatim. "" is an id without a token.
  std::vector<std::string> tokens;
  std::vector<std::pair<std::string, std::string>> merges;  ///< best first
  std::vector<AddedToken> added;                            ///< their contents are in `tokens` too
  bool ignore_merges = false;                               ///< a whole word in the vocabulary is one token at once
  std::optional<int32_t> unknown_id;                        ///< for bytes without a token; none: they are dropped
  bool fuse_unknown = false;                                ///< a run of such bytes gives one unknown_id
  bool nfc = false;                                         ///< normalize to Unicode's form C
  bool one_space = false;                                   ///< then make each run of whitespace one space
  bool lowercase = false;                                   ///< then lower-case
  /// Written behind the last character of every word ("</w>" of CLIP), to tell its tokens from those inside of words.
  std::string word_end = {};
  /// Of SentencePiece's pairs, by id: of neighbours that make a token together those of the highest score become one first.
  /// Tokens are then text with "▁" for a space, and "<0x0A>" is a byte of a character without a token. Empty: byte-level BPE.
  std::vector<float> scores = {};
  SpacePrefix space_prefix = SpacePrefix::kNone;  ///< of those
  PreTokenizerRules pre_tokenizer;
  std::vector<int32_t> prefix_ids;  ///< put before a sequence
  std::vector<int32_t> suffix_ids;  ///< put behind a sequence
  std::optional<int32_t> bos_id, eos_id;
  std::string bos_token, eos_token;  ///< "" when not named
  std::vector<int32_t> end_ids;      ///< further tokens that end an answer, beside eos_id
  /// Tokens with another role, by its name in GGUF ("padding", "unknown", "eot", "fim_pre"): kept, not used.
  std::map<std::string, int32_t> special_ids;
  std::string chat_template;                           ///< Jinja; "" when there is none
  std::map<std::string, std::string> named_templates;  ///< further ones, by name ("tool_use")
  std::vector<std::string> warnings = {};              ///< what the user should hear about how it was read

  bool has_scores() const { return !scores.empty(); }
  bool adds_bos() const { return bos_id && !prefix_ids.empty() && prefix_ids.front() == *bos_id; }
  bool adds_eos() const { return eos_id && !suffix_ids.empty() && suffix_ids.back() == *eos_id; }
};

/// Reads the text of a tokenizer.json; `origin` names it in messages. Ids may have gaps (fewer than 65,536 in all).
/// @throws Error{kBadFile} on every defect; Error{kUnsupported} naming the part when it is sound but neither byte-level
/// BPE nor SentencePiece's pairs
TokenizerModel parse_tokenizer_json(std::string_view text, const std::string& origin);

/// Adds what tokenizer_config.json says: bos_token, eos_token, pad_token and the like, chat_template, add_bos_token and
/// add_eos_token. `true` adds the token where the model has no template of its own; an explicit `false` takes it away.
/// A token outside the vocabulary is left out with a warning.
/// @throws Error{kBadFile}
void merge_tokenizer_config(TokenizerModel& model, std::string_view text, const std::string& origin);

/// `folder`/tokenizer.json with special_tokens_map.json, tokenizer_config.json and the files of chat templates where they
/// exist. Beginning, end and padding that none of them names are those of generation_config.json, then config.json.
/// @throws Error{kIo, kBadFile, kUnsupported}
TokenizerModel load_tokenizer_model(const std::filesystem::path& folder);

struct EncodeOptions {
  bool add_special = true;    ///< put prefix_ids and suffix_ids around the result
  bool parse_special = true;  ///< false: text that looks like a special token is ordinary text
};

/// Immutable, cheap to copy, safe to share between threads.
class Tokenizer {
 public:
  /// @throws Error{kBadFile} when merges or ids name tokens that do not exist, there are not as many scores as tokens, or an
  ///         expression is broken,
  ///         Error{kUnsupported} when an expression needs what PCRE2 cannot do
  explicit Tokenizer(TokenizerModel model);

  /// Invalid UTF-8 counts as U+FFFD. Cost: linear in the text times a logarithm of its longest word, of
  /// pieces, which no word holds apart, of its length.
  /// @throws Error{kBadFile} when an expression of the model runs away on this text
  std::vector<int32_t> encode(std::string_view utf8, const EncodeOptions& options = {}) const;
  /// Always valid UTF-8: bytes that are none become U+FFFD. An end of a word is a space, but for the last one; the space
  /// that pieces put before a text goes. Added tokens come out verbatim, special or not (Hugging
  /// Face reads them in the byte-level alphabet, which breaks those with accents).
  /// @throws Error{kInvalidArgument} on an id outside the vocabulary
  std::string decode(std::span<const int32_t> ids) const;

  int32_t vocab_size() const;  ///< one more than the greatest id
  std::optional<int32_t> bos_id() const { return model().bos_id; }
  std::optional<int32_t> eos_id() const { return model().eos_id; }
  bool adds_bos() const { return model().adds_bos(); }
  const TokenizerModel& model() const;

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

/// llama.cpp's name (`tokenizer.ggml.pre`) of the model's pre-tokenizer, one that also treats ignore_merges alike
/// unless that makes no difference to this vocabulary. Normalization has no counterpart there and is not looked at.
/// @throws Error{kUnsupported} with the expressions when llama.cpp has no name for them, and with the name of a rule that
///         cuts a probe text alike, if there is one
std::string gguf_pre_name(const TokenizerModel& model);

/// Whether the rule that `name` stands for gives the ids of `model`: by what it does to a probe text, and by
/// ignore_merges where that matters. add_prefix_space, for which no name stands, is not looked at.
/// @throws Error{kInvalidArgument} for an unknown name, and with the first words that are cut otherwise and the names
///         that fit
void check_gguf_pre_name(const TokenizerModel& model, const std::string& name);

/// All names that can be read.
std::vector<std::string> gguf_pre_names();

/// What a GGUF file of this tokenizer does not say, one sentence each, for the user to hear before it is written: tokens
/// that llama.cpp ends at or does not, and whatever gives a text other ids, with an example that was tried.
/// @cost builds a tokenizer for each thing that can be lost, and none where there is nothing
std::vector<std::string> gguf_tokenizer_losses(const TokenizerModel& model);

struct GgufPreTokenizer {
  PreTokenizerRules rules;
  bool ignore_merges = false;
  bool adds_bos = false;  ///< when the file has no tokenizer.ggml.add_bos_token
};

/// llama.cpp's rule for a file without tokenizer.ggml.pre.
inline constexpr const char* kDefaultPreTokenizer = "default";

/// The reverse: what llama.cpp's `name` stands for, in Hugging Face's own expressions.
/// @throws Error{kUnsupported} listing the known names
GgufPreTokenizer pretokenizer_for_gguf(std::string_view name);

}  // namespace vernier
