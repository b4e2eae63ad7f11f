#include "format/tokenizer_bpe.h"

#include <algorithm>
#include <limits>
#include <unordered_set>

#include "base/fail.h"
#include "format/tokenizer_text.h"

namespace vernier {
namespace {
constexpr size_t kCachedWordBytes = 128;
constexpr size_t kCachedWords = 1 << 16;
}  // namespace

BytePairEncoder::BytePairEncoder(const TokenizerModel& model)
    : unknown_id_(model.unknown_id), fuse_unknown_(model.fuse_unknown) {
  std::unordered_map<std::string_view, int32_t> ids;
  ids.reserve(model.tokens.size());
  for (size_t id = 0; id < model.tokens.size(); ++id) ids.emplace(model.tokens[id], static_cast<int32_t>(id));
  const auto id_of = [&](std::string_view token) {
    const auto found = token.empty() ? ids.end() : ids.find(token);
    return found == ids.end() ? -1 : found->second;
  };

  for (size_t byte = 0; byte < byte_ids_.size(); ++byte) {
    byte_ids_[byte] = id_of(byte_alphabet()[byte]);
    last_ids_[byte] = model.word_end.empty() ? byte_ids_[byte] : id_of(byte_alphabet()[byte] + model.word_end);
  }
  merges_.reserve(model.merges.size());
  std::string joined;
  for (size_t rank = 0; rank < model.merges.size(); ++rank) {
    const auto& [left, right] = model.merges[rank];
    joined.assign(left).append(right);
    const int32_t left_id = id_of(left), right_id = id_of(right), result = id_of(joined);
    if (left_id < 0 || right_id < 0 || result < 0)
      fail(ErrorKind::kBadFile,
           "tokenizer: {}: merge {} (\"{}\" + \"{}\"): \"{}\" is not in the vocabulary of {} tokens", model.origin,
           rank, shorten(left), shorten(right),
           shorten(left_id < 0    ? left
                   : right_id < 0 ? right
                                  : joined),
           model.tokens.size());
    // A pair listed twice has the later rank, as in Hugging Face's map.
    merges_.insert_or_assign(pair_key(left_id, right_id), Merge{static_cast<uint32_t>(rank), result});
  }
  if (model.ignore_merges) {
    whole_words_.reserve(model.tokens.size());
    for (size_t id = 0; id < model.tokens.size(); ++id) {
      std::optional<std::string> bytes = bytes_of_token(model.tokens[id]);
      if (bytes && !bytes->empty()) whole_words_.emplace(std::move(*bytes), static_cast<int32_t>(id));
    }
  }
}

const BytePairEncoder::Merge* BytePairEncoder::find_merge(int32_t left, int32_t right) const {
  const auto found = merges_.find(pair_key(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

void BytePairEncoder::encode(std::string_view word, Scratch& scratch, std::vector<int32_t>& ids) const {
  if (word.size() == 1 && last_ids_[static_cast<unsigned char>(word[0])] >= 0) {
    ids.push_back(last_ids_[static_cast<unsigned char>(word[0])]);
    return;
  }
  const bool cacheable = word.size() <= kCachedWordBytes;
  if (cacheable) {
    const auto hit = scratch.cache.find(word);
    if (hit != scratch.cache.end()) {
      const auto [begin, count] = hit->second;
      ids.insert(ids.end(), scratch.cached_ids.begin() + begin, scratch.cached_ids.begin() + begin + count);
      return;
    }
  }
  const size_t first = ids.size();
  const auto whole = whole_words_.find(word);
  if (whole != whole_words_.end()) {
    ids.push_back(whole->second);
  } else {
    merge_bytes(word, scratch, ids);
  }
  if (cacheable && scratch.cache.size() < kCachedWords) {
    scratch.cache.emplace(std::string(word), std::pair(scratch.cached_ids.size(), ids.size() - first));
    scratch.cached_ids.insert(scratch.cached_ids.end(), ids.begin() + first, ids.end());
  }
}

void BytePairEncoder::merge_bytes(std::string_view word, Scratch& scratch, std::vector<int32_t>& ids) const {
  if (word.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max()))
    fail(ErrorKind::kInvalidArgument, "tokenizer: a word of {} bytes; the limit is 2 GiB", word.size());
  std::vector<Symbol>& symbols = scratch.symbols;
  symbols.clear();
  bool after_unknown = false;
  for (size_t i = 0; i < word.size(); ++i) {
    const auto byte = static_cast<unsigned char>(word[i]);
    const int32_t known = i + 1 < word.size() ? byte_ids_[byte] : last_ids_[byte];
    if (known < 0 && (!unknown_id_ || (fuse_unknown_ && after_unknown))) continue;
    const auto position = static_cast<int32_t>(symbols.size());
    symbols.push_back({known >= 0 ? known : *unknown_id_, position - 1, position + 1, true});
    after_unknown = known < 0;
  }
  if (symbols.empty()) return;
  symbols.back().next = -1;

  std::vector<Candidate>& heap = scratch.heap;
  heap.clear();
  const auto consider = [&](int32_t left) {
    const Merge* merge = find_merge(symbols[left].id, symbols[symbols[left].next].id);
    if (merge != nullptr) heap.push_back({merge->rank, left, merge->result});
    return merge != nullptr;
  };
  for (int32_t i = 0; i + 1 < static_cast<int32_t>(symbols.size()); ++i) consider(i);
  std::make_heap(heap.begin(), heap.end());
  while (!heap.empty()) {
    const Candidate best = heap.front();
    std::pop_heap(heap.begin(), heap.end());
    heap.pop_back();
    Symbol& left = symbols[best.position];
    if (!left.alive || left.next < 0) continue;
    Symbol& right = symbols[left.next];
    // The pair may have changed since the candidate was queued.
    const Merge* merge = find_merge(left.id, right.id);
    if (merge == nullptr || merge->result != best.result) continue;
    left.id = best.result;
    right.alive = false;
    left.next = right.next;
    if (left.next >= 0) symbols[left.next].previous = best.position;
    if (left.previous >= 0 && consider(left.previous)) std::push_heap(heap.begin(), heap.end());
    if (left.next >= 0 && consider(best.position)) std::push_heap(heap.begin(), heap.end());
  }
  for (int32_t i = 0; i >= 0; i = symbols[i].next) ids.push_back(symbols[i].id);
}

bool BytePairEncoder::merges_reach_all_words(const TokenizerModel& model) const {
  std::unordered_set<int32_t> added;
  for (const AddedToken& token : model.added) added.insert(token.id);
  Scratch scratch;
  std::vector<int32_t> ids;
  for (size_t id = 0; id < model.tokens.size(); ++id) {
    const std::optional<std::string> bytes = bytes_of_token(model.tokens[id]);
    if (!bytes || bytes->empty() || added.contains(static_cast<int32_t>(id))) continue;
    ids.clear();
    merge_bytes(*bytes, scratch, ids);
    if (ids.size() != 1 || ids[0] != static_cast<int32_t>(id)) return false;
  }
  return true;
}

}  // namespace vernier
