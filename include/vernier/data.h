#pragma once

// Text as a model sees it: windows of token ids, with what is scored in each and which group it belongs to.
//
//   const EvaluationData data = text_windows(tokenizer, "book", text, {.context = 512, .max_windows = 100});
//   const EvaluationData groups = document_windows(tokenizer, "groups", read_documents("groups.jsonl"), {});

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vernier/tokenizer.h"

namespace vernier {

/// Logits at positions first_row ... tokens.size() - 2 predict the token after them; earlier positions are context.
struct TokenWindow {
  std::vector<int32_t> tokens;
  int64_t first_row = 0;
  int64_t cluster = 0;  ///< window or document number: the unit of standard errors
  int64_t scored() const { return static_cast<int64_t>(tokens.size()) - 1 - first_row; }
};

/// A unit of standard errors: a window of running text, or a document with its group.
struct Cluster {
  std::string group = {};  ///< "" for running text
  int64_t bytes = 0;       ///< UTF-8 bytes of a document's predicted tokens; 0 for running text
  int64_t same_as = -1;    ///< number of the first cluster with the same text, of any group; -1: this is the first
  int64_t part = 0;        ///< which of the joined texts a window of running text begins in
  /// Number of the first cluster that is a version of the same document (Document::doc), perhaps this; -1: not known.
  int64_t version_of = -1;
};

struct EvaluationData {
  std::string name;
  std::string hash;  ///< of the token ids: what was really scored
  int64_t context = 0;
  std::vector<TokenWindow> windows;
  std::vector<Cluster> clusters;
  int64_t scored_tokens() const;
  /// Longest window: positions a model must be able to see.
  int64_t longest() const;
  /// A window's unit of standard errors: its cluster, or the one that this repeats. Copies say nothing new, so that they
  /// count in means but not as evidence.
  int64_t distinct_cluster(const TokenWindow& window) const;
  /// Windows of running text, or documents, that repeat an earlier one.
  int64_t duplicates() const;
  /// Documents that repeat one of their own group; groups without any are left out.
  std::map<std::string, int64_t> duplicates_by_group() const;
};

/// Text for measuring, from a file.
struct TextFile {
  std::string text;              ///< UTF-8 without byte-order mark, lines end in LF
  int64_t carriage_returns = 0;  ///< line ends that were CR LF or CR, which would be scored as tokens of their own
  bool byte_order_mark = false;  ///< one of UTF-8 stood in front
};

/// @throws Error{kIo}; Error{kBadFile} naming the place of what is not UTF-8 text: another encoding, or binary data
TextFile read_text_file(const std::filesystem::path& path);
/// The same from bytes; `origin` names them in messages.
TextFile text_from_bytes(std::string_view bytes, const std::string& origin);

struct WindowOptions {
  int64_t context = 512;
  int64_t max_windows = 0;  ///< 0: all
  bool score_all = false;   ///< every token instead of the second half of each window
  bool spread = false;      ///< max_windows evenly spaced over the text instead of the first ones
};

/// llama-perplexity's protocol, so that numbers compare: the text is tokenized once, with BOS in front if the
/// vocabulary adds it and special tokens not parsed; it is cut every `context` tokens, the incomplete rest is dropped;
/// the first token of each window is replaced by BOS (again only if the vocabulary adds it); the second half is scored.
/// @throws Error{kInvalidArgument} when fewer than 2 windows result
EvaluationData text_windows(const Tokenizer& tokenizer, const std::string& name, const std::string& text,
                            const WindowOptions& options);

struct Document {
  std::string text;
  std::string group;
  std::string doc = {};  ///< what it is a version of, such as a page in several languages; "": nothing is known
};

/// One JSON object `{"text": ..., "group": ..., "doc": ...}` per line, where "doc" may be absent; a group, what stands
/// under `group_key`, is a string, an integer or a boolean, which is read as it is written. The file may have a byte-order mark and line ends of Windows (see read_text_file). `filter` KEY=VALUE keeps lines whose KEY (a string, number
/// or boolean) prints as VALUE. @throws Error{kBadFile} naming the line; Error{kInvalidArgument} when nothing is left
std::vector<Document> read_documents(const std::filesystem::path& path, const std::string& filter = "",
                                     const std::string& group_key = "group");
/// The same from text; `origin` names it in messages.
std::vector<Document> parse_documents(std::string_view text, const std::string& origin, const std::string& filter = "",
                                      const std::string& group_key = "group");

/// Every token of every document is scored, the first one too if the vocabulary has a BOS to predict it from; documents
/// longer than the context go on in a new window.
EvaluationData document_windows(const Tokenizer& tokenizer, const std::string& name,
                                const std::vector<Document>& documents, const WindowOptions& options);

/// `windows` of data with groups, as many of each group where it has them, evenly spaced over the group's; 0: all of
/// them. A group with fewer gives what it has.
EvaluationData balanced_windows(const EvaluationData& data, int64_t windows);

/// How many runs of 50 tokens of `a`, or whole windows of 17 to 50, also occur within windows of `b`: text that was
/// calibrated on must not be evaluated on.
int64_t shared_token_runs(const EvaluationData& a, const EvaluationData& b);

}  // namespace vernier
