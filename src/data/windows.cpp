#include <algorithm>
#include <map>
#include <unordered_set>

#include "base/fail.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/output_file.h"
#include "vernier/data.h"

namespace vernier {

namespace {

std::string hash_windows(const EvaluationData& data) {
  Hasher hasher;
  for (const TokenWindow& window : data.windows) {
    hasher.add(fmt::format("{} {}", window.first_row, data.clusters[static_cast<size_t>(window.cluster)].group));
    hasher.add(std::as_bytes(std::span(window.tokens)));
  }
  return hasher.hex();
}

/// Bytes of text that a token stands for: the byte-level alphabet has one character for each.
size_t bytes_of(const Tokenizer& tokenizer, int32_t id) {
  const std::string& token = tokenizer.model().tokens[static_cast<size_t>(id)];
  return static_cast<size_t>(std::count_if(token.begin(), token.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

void check_context(int64_t context) {
  if (context < 8 || context > (int64_t{1} << 24))
    fail(ErrorKind::kInvalidArgument, "data: context {}: expected 8 to {}", context, int64_t{1} << 24);
}

}  // namespace

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

EvaluationData text_windows(const Tokenizer& tokenizer, const std::string& name, const std::string& text,
                            const WindowOptions& options) {
  check_context(options.context);
  const bool bos = tokenizer.adds_bos();
  std::vector<int32_t> ids = tokenizer.encode(text, {.add_special = false, .parse_special = false});
  if (bos) ids.insert(ids.begin(), *tokenizer.bos_id());
  EvaluationData data;
  data.name = name;
  data.context = options.context;
  int64_t count = static_cast<int64_t>(ids.size()) / options.context;
  if (count < 2)
    fail(ErrorKind::kInvalidArgument,
         "data: {}: {} tokens, expected at least {} (2 windows of {}); use more text or a smaller --context", name,
         ids.size(), 2 * options.context, options.context);
  const int64_t available = count;
  if (options.max_windows > 0) count = std::min(count, options.max_windows);
  for (int64_t w = 0; w < count; ++w) {
    const int64_t place = options.spread ? w * available / count : w;
    const auto first = ids.begin() + place * options.context;
    TokenWindow window{{first, first + options.context}, options.score_all ? 0 : options.context / 2, w};
    if (bos) window.tokens[0] = *tokenizer.bos_id();
    data.windows.push_back(std::move(window));
    data.clusters.emplace_back();
  }
  data.hash = hash_windows(data);
  return data;
}

std::vector<Document> read_documents(const std::filesystem::path& path, const std::string& filter) {
  return parse_documents(read_file(path), path.string(), filter);
}

std::vector<Document> parse_documents(std::string_view text, const std::string& file, const std::string& filter) {
  const auto equals = filter.find('=');
  if (!filter.empty() && equals == std::string::npos)
    fail(ErrorKind::kInvalidArgument, "filter \"{}\": expected KEY=VALUE", filter);
  std::vector<Document> documents;
  size_t line = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view row(text.data() + begin, end - begin);
    begin = end + 1;
    ++line;
    if (row.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const std::string origin = fmt::format("{}:{}", file, line);
    const Json json = parse_json(row, origin);
    if (!filter.empty()) {
      const Json* value = json_find(json, filter.substr(0, equals).c_str());
      const std::string printed = value == nullptr     ? ""
                                  : value->is_string() ? value->get<std::string>()
                                                       : value->dump();
      if (printed != filter.substr(equals + 1)) continue;
    }
    documents.push_back({json_string(json, "text", origin), json_string(json, "group", origin)});
  }
  if (documents.empty())
    fail(ErrorKind::kInvalidArgument, "{}: no documents{}", file, filter.empty() ? "" : " left by filter " + filter);
  return documents;
}

EvaluationData document_windows(const Tokenizer& tokenizer, const std::string& name,
                                const std::vector<Document>& documents, const WindowOptions& options) {
  check_context(options.context);
  const bool bos = tokenizer.adds_bos();
  EvaluationData data;
  data.name = name;
  data.context = options.context;
  const auto step = static_cast<size_t>(options.context - 1);
  for (const Document& document : documents) {
    if (options.max_windows > 0 && static_cast<int64_t>(data.windows.size()) >= options.max_windows) break;
    const auto cluster = static_cast<int64_t>(data.clusters.size());
    std::vector<int32_t> ids = tokenizer.encode(document.text, {.add_special = false, .parse_special = false});
    if (bos) ids.insert(ids.begin(), *tokenizer.bos_id());
    if (ids.size() < 2) continue;
    // Without BOS nothing predicts the first token, and what is not scored must not count as text either.
    const size_t unscored = bos ? 0 : std::min(document.text.size(), bytes_of(tokenizer, ids[0]));
    data.clusters.push_back({document.group, static_cast<int64_t>(document.text.size() - unscored)});
    // Windows overlap by one token, so that each token but the document's first is predicted exactly once.
    for (size_t begin = 0; begin + 1 < ids.size(); begin += step) {
      const size_t end = std::min(ids.size(), begin + step + 1);
      TokenWindow window{
          {ids.begin() + static_cast<int64_t>(begin), ids.begin() + static_cast<int64_t>(end)}, 0, cluster};
      if (bos) window.tokens[0] = *tokenizer.bos_id();
      data.windows.push_back(std::move(window));
    }
  }
  if (data.windows.empty()) fail(ErrorKind::kInvalidArgument, "data: {}: no document has 2 tokens", name);
  data.hash = hash_windows(data);
  return data;
}

int64_t shared_token_runs(const EvaluationData& a, const EvaluationData& b) {
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
  int64_t shared = 0;
  for (const auto& [run, windows] : by_length) {
    std::unordered_set<uint64_t> known;
    for (const TokenWindow& window : b.windows) for_runs(window, run, [&](uint64_t hash) { known.insert(hash); });
    for (const TokenWindow* window : windows)
      for_runs(*window, run, [&](uint64_t hash) { shared += known.contains(hash) ? 1 : 0; });
  }
  return shared;
}

}  // namespace vernier
