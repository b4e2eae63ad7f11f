#include "format/tokenizer_added.h"

#include "base/fail.h"
#include "format/tokenizer_text.h"

namespace vernier {

AddedTokenMatcher::AddedTokenMatcher(std::vector<AddedToken> tokens)
    : tokens_(std::move(tokens)), token_of_node_(1, -1) {
  constexpr size_t kMaxTokenBytes = 4096;
  for (size_t i = 0; i < tokens_.size(); ++i) {
    const std::string& content = tokens_[i].content;
    if (content.empty()) continue;
    if (content.size() > kMaxTokenBytes)
      fail(ErrorKind::kUnsupported, "tokenizer: added token \"{}\" has {} bytes; the limit is {}", shorten(content),
           content.size(), kMaxTokenBytes);
    starts_token_[static_cast<unsigned char>(content[0])] = true;
    uint64_t node = 0;
    for (const char c : content) {
      const auto [edge, fresh] = edges_.try_emplace(node << 8 | static_cast<unsigned char>(c), token_of_node_.size());
      if (fresh) token_of_node_.push_back(-1);
      node = edge->second;
    }
    if (token_of_node_[node] < 0) token_of_node_[node] = static_cast<int32_t>(i);
  }
}

const AddedToken* AddedTokenMatcher::longest_at(std::string_view text, size_t position) const {
  const AddedToken* longest = nullptr;
  uint64_t node = 0;
  for (; position < text.size(); ++position) {
    const auto edge = edges_.find(node << 8 | static_cast<unsigned char>(text[position]));
    if (edge == edges_.end()) break;
    node = edge->second;
    if (token_of_node_[node] >= 0) longest = &tokens_[token_of_node_[node]];
  }
  return longest;
}

void AddedTokenMatcher::split(std::string_view text, const Emit& emit) const {
  size_t done = 0;
  for (size_t at = 0; at < text.size();) {
    const AddedToken* token = starts_token_[static_cast<unsigned char>(text[at])] ? longest_at(text, at) : nullptr;
    if (token == nullptr) {
      ++at;
      continue;
    }
    size_t begin = at, end = at + token->content.size();
    at = end;  // a match that is turned down is not searched again, as in Hugging Face's automaton
    if (token->single_word && ((begin > 0 && is_word_character(utf8_before(text, begin).code)) ||
                               (end < text.size() && is_word_character(utf8_at(text, end).code))))
      continue;
    if (token->lstrip) {
      while (begin > done && is_unicode_space(utf8_before(text, begin).code)) begin -= utf8_before(text, begin).length;
    }
    if (token->rstrip) {
      while (end < text.size() && is_unicode_space(utf8_at(text, end).code)) end += utf8_at(text, end).length;
    }
    if (begin > done) emit(text.substr(done, begin - done), nullptr);
    emit(text.substr(begin, end - begin), token);
    done = end;
  }
  if (done < text.size()) emit(text.substr(done), nullptr);
}

}  // namespace vernier
