#pragma once

// Cuts text into words by the regular expressions of a tokenizer, run by PCRE2 (just-in-time compiled where possible).
//
//   PreTokenizer splitter(model.pre_tokenizer, model.origin);
//   PreTokenizer::Scratch scratch(splitter);
//   splitter.split("Hello, world", scratch, [&](std::string_view word) { ... });   // "Hello" "," " world"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "vernier/tokenizer.h"

namespace vernier {

/// GPT-2's expression, which `use_regex` of ByteLevel stands for.
inline constexpr const char* kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

class PreTokenizer {
 private:
  struct Expression;
  struct MatchState;
  using Ranges = std::vector<std::pair<size_t, size_t>>;

 public:
  /// Working memory of one thread.
  class Scratch {
   public:
    explicit Scratch(const PreTokenizer& owner);
    ~Scratch();
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

   private:
    friend class PreTokenizer;
    std::unique_ptr<MatchState> state_;
    Ranges ranges_, next_;
  };

  /// @throws Error{kBadFile} on a broken expression, Error{kUnsupported} on one that PCRE2 cannot run
  PreTokenizer(const PreTokenizerRules& rules, const std::string& origin);
  ~PreTokenizer();
  PreTokenizer(PreTokenizer&&) noexcept;

  /// Calls `emit` with every word of `text`, which is valid UTF-8, in order; the view lives for the call only.
  /// @throws Error{kBadFile} when an expression needs more steps than any sensible one would
  void split(std::string_view text, Scratch& scratch, const std::function<void(std::string_view)>& emit) const;

 private:
  void apply(const Expression& expression, std::string_view text, size_t offset, MatchState& state,
             Ranges& result) const;

  std::string origin_;
  std::vector<Expression> expressions_;
  bool add_prefix_space_ = false;
  std::unique_ptr<Expression> gpt2_;
};

}  // namespace vernier
