#include "format/tokenizer_pieces.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/fail.h"
#include "base/utf8.h"
#include "format/tokenizer_bpe.h"
#include "format/tokenizer_text.h"

namespace vernier {

namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

std::string without_spaces(std::string_view text, bool one_in_front) {
  std::string result(one_in_front ? kPieceSpace : "");
  for (const char c : text)
    if (c == ' ')
      result += kPieceSpace;
    else
      result += c;
  return result;
}

bool puts_space(SpacePrefix rule, PieceEncoder::Before before, std::string_view text) {
  const bool is_there = text.starts_with(' ') || text.starts_with(kPieceSpace);
  switch (rule) {
    case SpacePrefix::kNone: return false;
    case SpacePrefix::kParts: return before != PieceEncoder::Before::kText;
    case SpacePrefix::kPartsWithout: return before != PieceEncoder::Before::kText && !is_there;
    case SpacePrefix::kTextWithout: return before == PieceEncoder::Before::kNothing && !is_there;
  }
  return false;
}

/// Characters that have been joined; the text is one string, so that neighbours are one piece of it.
struct Symbol {
  int32_t begin, size;  // bytes; 0: joined to the one before
  int32_t previous, next;
};
struct Candidate {
  float score;
  int32_t left, right, size;
  bool operator<(const Candidate& other) const {  // for a heap with the highest score, then the leftmost, on top
    return score != other.score ? score < other.score : left > other.left;
  }
};

}  // namespace

std::optional<char> byte_of_piece(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return std::nullopt;
  const int high = hex_digit(token[3]), low = hex_digit(token[4]);
  if (high < 0 || low < 0) return std::nullopt;
  return static_cast<char>(high * 16 + low);
}

std::string with_spaces(std::string_view piece) {
  std::string result;
  while (!piece.empty()) {
    const bool space = piece.starts_with(kPieceSpace);
    result += space ? ' ' : piece[0];
    piece.remove_prefix(space ? kPieceSpace.size() : 1);
  }
  return result;
}

PieceEncoder::PieceEncoder(const TokenizerModel& model) : model_(model) {
  if (model.scores.size() != model.tokens.size())
    fail(ErrorKind::kBadFile, "tokenizer: {}: {} scores for {} tokens", model.origin, model.scores.size(),
         model.tokens.size());
  byte_ids_.fill(-1);
  ids_.reserve(model.tokens.size());
  for (size_t id = 0; id < model.tokens.size(); ++id) {
    if (std::isnan(model.scores[id]))
      fail(ErrorKind::kBadFile, "tokenizer: {}: the score of token {} is not a number", model.origin, id);
    const std::string& token = model.tokens[id];
    if (token.empty()) continue;
    ids_.emplace(token, static_cast<int32_t>(id));
    if (const std::optional<char> byte = byte_of_piece(token))
      byte_ids_[static_cast<unsigned char>(*byte)] = static_cast<int32_t>(id);
  }
  ranks_.reserve(model.merges.size());
  for (size_t rank = 0; rank < model.merges.size(); ++rank) {
    const auto& [left, right] = model.merges[rank];
    const int32_t first = id_of(left), second = id_of(right);
    if (first < 0 || second < 0 || id_of(left + right) < 0)
      fail(ErrorKind::kBadFile, "tokenizer: {}: merge {} (\"{}\" + \"{}\") is not of tokens", model.origin, rank,
           shorten(left), shorten(right));
    ranks_.insert_or_assign(pair_key(first, second), static_cast<uint32_t>(rank));
  }
}

std::optional<float> PieceEncoder::score_of(std::string_view left, std::string_view right) const {
  if (ranks_.empty()) {
    const int32_t id = id_of({left.data(), left.size() + right.size()});  // neighbours in one text
    return id < 0 ? std::nullopt : std::optional(model_.scores[static_cast<size_t>(id)]);
  }
  const int32_t first = id_of(left), second = id_of(right);
  const auto found = first < 0 || second < 0 ? ranks_.end() : ranks_.find(pair_key(first, second));
  return found == ranks_.end() ? std::nullopt : std::optional(-static_cast<float>(found->second));
}

int32_t PieceEncoder::id_of(std::string_view piece) const {
  const auto found = ids_.find(piece);
  return found == ids_.end() ? -1 : found->second;
}

void PieceEncoder::add_bytes(std::string_view character, std::vector<int32_t>& ids) const {
  for (const char c : character) {
    const int32_t id = byte_ids_[static_cast<unsigned char>(c)];
    if (id >= 0)
      ids.push_back(id);
    else if (model_.unknown_id)
      ids.push_back(*model_.unknown_id);
  }
}

void PieceEncoder::encode(std::string_view text, Before before, std::vector<int32_t>& ids) const {
  if (text.empty()) return;
  const std::string spelled = without_spaces(text, puts_space(model_.space_prefix, before, text));
  if (spelled.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max()))
    fail(ErrorKind::kInvalidArgument, "tokenizer: a text of {} bytes; the limit is 2 GiB", spelled.size());
  std::vector<Symbol> symbols;
  symbols.reserve(spelled.size());
  for (size_t begin = 0; begin < spelled.size();) {
    const auto at = static_cast<int32_t>(symbols.size()), size = static_cast<int32_t>(utf8_at(spelled, begin).length);
    symbols.push_back({static_cast<int32_t>(begin), size, at - 1, at + 1});
    begin += static_cast<size_t>(size);
  }
  symbols.back().next = -1;

  const auto piece = [&](int32_t begin, int32_t size) {
    return std::string_view(spelled).substr(static_cast<size_t>(begin), static_cast<size_t>(size));
  };
  std::vector<Candidate> heap;
  const auto consider = [&](int32_t left, int32_t right) {
    if (left < 0 || right < 0) return;
    const Symbol &first = symbols[static_cast<size_t>(left)], &second = symbols[static_cast<size_t>(right)];
    const std::optional<float> score = score_of(piece(first.begin, first.size), piece(second.begin, second.size));
    if (!score) return;
    heap.push_back({*score, left, right, first.size + second.size});
    std::push_heap(heap.begin(), heap.end());
  };
  for (int32_t right = 1; right < static_cast<int32_t>(symbols.size()); ++right) consider(right - 1, right);
  while (!heap.empty()) {
    const Candidate best = heap.front();
    std::pop_heap(heap.begin(), heap.end());
    heap.pop_back();
    Symbol &left = symbols[static_cast<size_t>(best.left)], &right = symbols[static_cast<size_t>(best.right)];
    // One of the two may have been joined to another since.
    if (left.size == 0 || right.size == 0 || left.size + right.size != best.size) continue;
    left.size = best.size;
    right.size = 0;
    left.next = right.next;
    if (right.next >= 0) symbols[static_cast<size_t>(right.next)].previous = best.left;
    consider(left.previous, best.left);
    consider(best.left, left.next);
  }
  for (int32_t i = 0; i >= 0; i = symbols[static_cast<size_t>(i)].next) {
    const std::string_view found = piece(symbols[static_cast<size_t>(i)].begin, symbols[static_cast<size_t>(i)].size);
    if (const int32_t id = id_of(found); id >= 0)
      ids.push_back(id);
    else
      add_bytes(found, ids);
  }
}

}  // namespace vernier
