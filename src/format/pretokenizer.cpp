#include "format/pretokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>

#include "base/fail.h"
#include "format/pretokenizer_syntax.h"
#include "format/tokenizer_text.h"

namespace vernier {
namespace {

constexpr size_t kMaxExpressionBytes = 1 << 16;
constexpr size_t kJitStackBytes = 1 << 23;
// Backtracking steps that every match may take. Those of a sane expression stay far below it, or grow with the word
// that it walks back over: what matches take beyond it is bounded for the whole text, by its length.
constexpr uint32_t kFreeSteps = 1024;
constexpr size_t kTextSteps = 200'000, kStepsPerByte = 16;
constexpr size_t kMaxExpressions = 64;
constexpr uint32_t kHeapKib = 1 << 16;

template <auto free_function>
struct Deleter {
  template <class T>
  void operator()(T* pointer) const {
    free_function(pointer);
  }
};
using CodePtr = std::unique_ptr<pcre2_code, Deleter<pcre2_code_free>>;
using CompileContextPtr = std::unique_ptr<pcre2_compile_context, Deleter<pcre2_compile_context_free>>;
using MatchContextPtr = std::unique_ptr<pcre2_match_context, Deleter<pcre2_match_context_free>>;
using MatchDataPtr = std::unique_ptr<pcre2_match_data, Deleter<pcre2_match_data_free>>;
using JitStackPtr = std::unique_ptr<pcre2_jit_stack, Deleter<pcre2_jit_stack_free>>;

std::string pcre2_message(int code) {
  PCRE2_UCHAR buffer[256];
  if (pcre2_get_error_message(code, buffer, sizeof buffer) < 0) return "error " + std::to_string(code);
  return reinterpret_cast<const char*>(buffer);
}

CodePtr compile(const std::string& pattern, const std::string& origin) {
  if (pattern.size() > kMaxExpressionBytes)
    fail(ErrorKind::kBadFile, "tokenizer: {}: an expression of {} bytes; the limit is {}", origin, pattern.size(),
         kMaxExpressionBytes);
  const std::string translated = to_pcre2_syntax(pattern);
  const CompileContextPtr context(pcre2_compile_context_create(nullptr));
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE position = 0;
  // Ruby's ^ and $ always stand at lines.
  CodePtr code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                             PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error, &position,
                             context.get()));
  if (code == nullptr)
    fail(ErrorKind::kBadFile,
         "tokenizer: {}: pre-tokenizer expression \"{}\" does not compile: {} at byte {} of \"{}\"", origin, pattern,
         pcre2_message(error), position, translated);
  pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);  // without a JIT the interpreter runs it
  return code;
}

/// pcre2_match from `search` on, in as few backtracking steps as do: a limit is all that PCRE2 says of them, so that it
/// is doubled until it is enough, and taken from `steps_left`.
int match_within(const pcre2_code& code, std::string_view text, size_t search, pcre2_match_context& context,
                 pcre2_match_data& data, size_t& steps_left) {
  for (uint32_t steps = kFreeSteps;; steps *= 2) {
    pcre2_set_match_limit(&context, steps);
    const int count = pcre2_match(&code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), search,
                                  PCRE2_NO_UTF_CHECK, &data, &context);
    if (count != PCRE2_ERROR_MATCHLIMIT || steps > steps_left || steps > UINT32_MAX / 2) return count;
    steps_left -= steps;
  }
}
}  // namespace

struct PreTokenizer::Expression {
  SplitRule rule;
  CodePtr code;
};

struct PreTokenizer::MatchState {
  MatchContextPtr context{pcre2_match_context_create(nullptr)};
  MatchDataPtr data{pcre2_match_data_create(1, nullptr)};
  JitStackPtr jit_stack{pcre2_jit_stack_create(1 << 15, kJitStackBytes, nullptr)};
  std::vector<std::pair<std::pair<size_t, size_t>, bool>> parts;

  MatchState() {
    pcre2_set_heap_limit(context.get(), kHeapKib);
    if (jit_stack != nullptr) pcre2_jit_stack_assign(context.get(), nullptr, jit_stack.get());
  }
};

PreTokenizer::Scratch::Scratch(const PreTokenizer&) : state_(std::make_unique<MatchState>()) {}
PreTokenizer::Scratch::~Scratch() = default;

PreTokenizer::PreTokenizer(const PreTokenizerRules& rules, const std::string& origin)
    : origin_(origin), add_prefix_space_(rules.add_prefix_space) {
  if (rules.splits.size() > kMaxExpressions)
    fail(ErrorKind::kBadFile, "tokenizer: {}: {} pre-tokenizer expressions; the limit is {}", origin,
         rules.splits.size(), kMaxExpressions);
  for (const SplitRule& rule : rules.splits) expressions_.push_back({rule, compile(rule.pattern, origin)});
  if (rules.use_gpt2_split)
    gpt2_ = std::make_unique<Expression>(Expression{{kGpt2Pattern}, compile(kGpt2Pattern, origin)});
}
PreTokenizer::~PreTokenizer() = default;
PreTokenizer::PreTokenizer(PreTokenizer&&) noexcept = default;

// Appends the parts of `text` to `result`, shifted by `offset`.
void PreTokenizer::apply(const Expression& expression, std::string_view text, size_t offset, MatchState& state,
                         Ranges& result) const {
  auto& parts = state.parts;
  parts.clear();
  size_t done = 0, search = 0, last_end = std::string_view::npos;
  size_t steps_left = kTextSteps + kStepsPerByte * text.size();
  while (search <= text.size()) {
    const int count = match_within(*expression.code, text, search, *state.context, *state.data, steps_left);
    if (count == PCRE2_ERROR_NOMATCH) break;
    if (count < 0)
      fail(ErrorKind::kBadFile,
           "tokenizer: {}: pre-tokenizer expression \"{}\" gave up on a text of {} bytes ({}); it probably backtracks "
           "without bound",
           origin_, expression.rule.pattern, text.size(), pcre2_message(count));
    const PCRE2_SIZE* span = pcre2_get_ovector_pointer(state.data.get());
    const size_t begin = span[0], end = span[1];
    if (begin > end || begin < done)  // \K inside a lookaround can do that
      fail(ErrorKind::kBadFile, "tokenizer: {}: pre-tokenizer expression \"{}\" matches backwards", origin_,
           expression.rule.pattern);
    if (begin == end && end == last_end) {  // an empty match right behind a match does not count
      if (search == text.size()) break;
      search += utf8_at(text, search).length;
      continue;
    }
    if (begin > done) parts.push_back({{done, begin}, expression.rule.invert});
    parts.push_back({{begin, end}, !expression.rule.invert});
    done = search = last_end = end;
  }
  if (done < text.size()) parts.push_back({{done, text.size()}, expression.rule.invert});

  const size_t first = result.size();
  const auto push = [&](std::pair<size_t, size_t> part) {
    result.emplace_back(part.first + offset, part.second + offset);
  };
  bool previous = false;
  switch (expression.rule.behavior) {
    case SplitBehavior::kRemoved:
      for (const auto& [part, is_match] : parts)
        if (!is_match) push(part);
      break;
    case SplitBehavior::kIsolated:
      for (const auto& [part, is_match] : parts) push(part);
      break;
    case SplitBehavior::kContiguous:
      for (const auto& [part, is_match] : parts) {
        if (is_match == previous && result.size() > first) {
          result.back().second = part.second + offset;
        } else {
          push(part);
        }
        previous = is_match;
      }
      break;
    case SplitBehavior::kMergedWithPrevious:
      for (const auto& [part, is_match] : parts) {
        if (is_match && !previous && result.size() > first) {
          result.back().second = part.second + offset;
        } else {
          push(part);
        }
        previous = is_match;
      }
      break;
    case SplitBehavior::kMergedWithNext:
      for (auto it = parts.rbegin(); it != parts.rend(); ++it) {
        if (it->second && !previous && result.size() > first) {
          result.back().first = it->first.first + offset;
        } else {
          push(it->first);
        }
        previous = it->second;
      }
      std::reverse(result.begin() + static_cast<std::ptrdiff_t>(first), result.end());
      break;
  }
}

void PreTokenizer::split(std::string_view text, Scratch& scratch,
                         const std::function<void(std::string_view)>& emit) const {
  Ranges &ranges = scratch.ranges_, &next = scratch.next_;
  ranges.assign(1, {0, text.size()});
  for (const Expression& expression : expressions_) {
    next.clear();
    for (const auto& [begin, end] : ranges)
      if (end > begin) apply(expression, text.substr(begin, end - begin), begin, *scratch.state_, next);
    std::swap(ranges, next);
  }
  std::string spaced;
  for (const auto& [begin, end] : ranges) {
    if (end == begin) continue;
    std::string_view piece = text.substr(begin, end - begin);
    if (add_prefix_space_ && piece.front() != ' ') {
      spaced.assign(" ").append(piece);
      piece = spaced;
    }
    if (gpt2_ == nullptr) {
      emit(piece);
      continue;
    }
    next.clear();
    apply(*gpt2_, piece, 0, *scratch.state_, next);
    for (const auto& [word_begin, word_end] : next)
      if (word_end > word_begin) emit(piece.substr(word_begin, word_end - word_begin));
  }
}

}  // namespace vernier
