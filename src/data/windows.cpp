#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "base/fail.h"
#include "base/hash.h"
#include "data/document_pieces.h"
#include "data/token_runs.h"
#include "data/tokenized_text.h"
#include "data/windows_hash.h"
#include "vernier/data.h"

namespace vernier {

namespace {

/// Bytes of text that a token stands for: the byte-level alphabet has one character for each.
size_t bytes_of(const Tokenizer& tokenizer, int32_t id) {
  const std::string& token = tokenizer.model().tokens[static_cast<size_t>(id)];
  return static_cast<size_t>(std::count_if(token.begin(), token.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

/// The earlier cluster with this text, or -1 when there is none and it becomes the first, as `cluster`.
/// `text` stays where it is as long as `first`.
int64_t earlier(std::unordered_map<std::string_view, int64_t>& first, std::string_view text, int64_t cluster) {
  const auto [it, is_new] = first.try_emplace(text, cluster);
  return is_new ? -1 : it->second;
}

void check_context(int64_t context) {
  if (context < 8 || context > (int64_t{1} << 24))
    fail(ErrorKind::kInvalidArgument, "data: context {}: expected 8 to {}", context, int64_t{1} << 24);
}

}  // namespace

std::string hash_windows(const EvaluationData& data) {
  Hasher hasher;
  for (const TokenWindow& window : data.windows) {
    hasher.add(fmt::format("{} {}", window.first_row, data.clusters[static_cast<size_t>(window.cluster)].group));
    hasher.add(std::as_bytes(std::span(window.tokens)));
  }
  return hasher.hex();
}

int64_t EvaluationData::scored_tokens() const {
  int64_t total = 0;
  for (const TokenWindow& window : windows) total += window.scored();
  return total;
}

int64_t EvaluationData::longest() const {
  size_t longest = 0;
  for (const TokenWindow& window : windows) longest = std::max(longest, window.tokens.size());
  return static_cast<int64_t>(longest);
}

int64_t EvaluationData::distinct_cluster(const TokenWindow& window) const {
  const int64_t same_as = clusters[static_cast<size_t>(window.cluster)].same_as;
  return same_as < 0 ? window.cluster : same_as;
}

int64_t EvaluationData::duplicates() const {
  return std::count_if(clusters.begin(), clusters.end(), [](const Cluster& c) { return c.same_as >= 0; });
}

std::map<std::string, int64_t> EvaluationData::duplicates_by_group() const {
  std::map<std::string, int64_t> counts;
  std::set<std::pair<std::string_view, int64_t>> seen;  // group and text
  for (size_t c = 0; c < clusters.size(); ++c) {
    const Cluster& cluster = clusters[c];
    const int64_t text = cluster.same_as < 0 ? static_cast<int64_t>(c) : cluster.same_as;
    if (!cluster.group.empty() && !seen.emplace(cluster.group, text).second) ++counts[cluster.group];
  }
  return counts;
}

TokenizedText tokenize_text(const Tokenizer& tokenizer, const std::string& name, const std::string& text) {
  TokenizedText result{
      name, tokenizer.adds_bos(), tokenizer.encode(text, {.add_special = false, .parse_special = false}), {}};
  if (result.bos) result.ids.insert(result.ids.begin(), *tokenizer.bos_id());
  return result;
}

TokenizedText tokenize_joined(const Tokenizer& tokenizer, const std::string& name,
                              const std::vector<std::string_view>& texts) {
  std::string all;
  for (const std::string_view text : texts) all += text;
  TokenizedText joined = tokenize_text(tokenizer, name, all);
  if (texts.size() < 2) return joined;
  size_t end = joined.bos ? 1 : 0;
  for (const std::string_view text : texts) {
    end += tokenizer.encode(text, {.add_special = false, .parse_special = false}).size();
    joined.ends.push_back(std::min(end, joined.ids.size()));
  }
  joined.ends.back() = joined.ids.size();
  return joined;
}

EvaluationData text_windows(const Tokenizer& tokenizer, const std::string& name, const std::string& text,
                            const WindowOptions& options) {
  check_context(options.context);
  return windows_of(tokenize_text(tokenizer, name, text), options);
}

EvaluationData windows_of(const TokenizedText& text, const WindowOptions& options) {
  check_context(options.context);
  const std::vector<int32_t>& ids = text.ids;
  EvaluationData data;
  data.name = text.name;
  data.context = options.context;
  int64_t count = static_cast<int64_t>(ids.size()) / options.context;
  if (count < 2)
    fail(ErrorKind::kInvalidArgument,
         "data: {}: {} tokens, expected at least {} (2 windows of {}); use more text or a smaller --context", text.name,
         ids.size(), 2 * options.context, options.context);
  const int64_t available = count;
  std::unordered_map<std::string_view, int64_t> first_of;
  if (options.max_windows > 0) count = std::min(count, options.max_windows);
  for (int64_t w = 0; w < count; ++w) {
    const int64_t place = options.spread ? w * available / count : w;
    const auto first = ids.begin() + place * options.context;
    // Their first token is BOS or not, for all alike.
    const auto bytes = std::as_bytes(std::span(first + 1, first + options.context));
    const std::string_view content(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    TokenWindow window{{first, first + options.context}, options.score_all ? 0 : options.context / 2, w};
    if (text.bos) window.tokens[0] = ids[0];
    data.windows.push_back(std::move(window));
    const auto part = std::ranges::upper_bound(text.ends, static_cast<size_t>(place * options.context));
    data.clusters.push_back({.same_as = earlier(first_of, content, w), .part = part - text.ends.begin()});
  }
  data.hash = hash_windows(data);
  return data;
}

EvaluationData document_windows(const Tokenizer& tokenizer, const std::string& name,
                                const std::vector<Document>& documents, const WindowOptions& options) {
  check_context(options.context);
  const std::optional<int32_t> bos = tokenizer.adds_bos() ? tokenizer.bos_id() : std::nullopt;
  EvaluationData data;
  data.name = name;
  data.context = options.context;
  std::unordered_map<std::string_view, int64_t> first_of, first_version;
  for (const Document& document : documents) {
    if (options.max_windows > 0 && static_cast<int64_t>(data.windows.size()) >= options.max_windows) break;
    const auto cluster = static_cast<int64_t>(data.clusters.size());
    const std::vector<int32_t> ids = tokenizer.encode(document.text, {.add_special = false, .parse_special = false});
    std::vector<std::vector<int32_t>> pieces = document_pieces(ids, bos, options.context);
    if (pieces.empty()) continue;
    // Without BOS nothing predicts the first token, and what is not scored must not count as text either.
    const size_t unscored = bos ? 0 : std::min(document.text.size(), bytes_of(tokenizer, ids[0]));
    data.clusters.push_back(
        {.group = document.group,
         .bytes = static_cast<int64_t>(document.text.size() - unscored),
         .same_as = earlier(first_of, document.text, cluster),
         .version_of = document.doc.empty() ? -1 : first_version.try_emplace(document.doc, cluster).first->second});
    for (std::vector<int32_t>& piece : pieces) data.windows.push_back({std::move(piece), 0, cluster});
  }
  if (data.windows.empty()) fail(ErrorKind::kInvalidArgument, "data: {}: no document has 2 tokens", name);
  data.hash = hash_windows(data);
  return data;
}

int64_t shared_token_runs(const EvaluationData& a, const EvaluationData& b) { return find_shared_runs(a, b).count; }

SharedRuns find_shared_runs(const EvaluationData& a, const EvaluationData& b) {
  constexpr size_t kRun = 50, kShortest = 16;
  // Rolling polynomial hash modulo 2^64: a false match would need two different runs to collide, which is tolerable in
  // a warning.
  constexpr uint64_t kBase = 0x9E3779B97F4A7C15;
  const auto for_runs = [&](const TokenWindow& window, size_t run, auto&& visit) {
    uint64_t hash = 0, leading = 1;
    for (size_t i = 0; i + 1 < run; ++i) leading *= kBase;
    const auto tokens = std::span(window.tokens).subspan(1);  // the first one is often BOS
    for (size_t i = 0; i < tokens.size(); ++i) {
      if (i >= run) hash -= leading * (static_cast<uint64_t>(tokens[i - run]) + 1);
      hash = hash * kBase + static_cast<uint64_t>(tokens[i]) + 1;
      if (i + 1 >= run) visit(hash);
    }
  };
  // Windows that hold no run are looked for whole, by their length.
  std::map<size_t, std::vector<const TokenWindow*>> by_length;
  for (const TokenWindow& window : a.windows)
    if (const size_t run = std::min(kRun, window.tokens.size() - 1); run >= kShortest)
      by_length[run].push_back(&window);
  SharedRuns shared{0, std::vector<bool>(b.windows.size(), false)};
  for (const auto& [run, windows] : by_length) {
    // Only what is asked for is kept: there are up to 35 lengths, and all of `b` may be long.
    std::unordered_set<uint64_t> asked, found;
    for (const TokenWindow* window : windows) for_runs(*window, run, [&](uint64_t hash) { asked.insert(hash); });
    for (size_t i = 0; i < b.windows.size(); ++i)
      for_runs(b.windows[i], run, [&](uint64_t hash) {
        if (!asked.contains(hash)) return;
        found.insert(hash);
        shared.holders[i] = true;
      });
    for (const TokenWindow* window : windows)
      for_runs(*window, run, [&](uint64_t hash) { shared.count += found.contains(hash) ? 1 : 0; });
  }
  return shared;
}

}  // namespace vernier
