#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <cmath>

#include "base/fail.h"
#include "base/utf8.h"
#include "plan/blanks.h"
#include "plan/numbers.h"
#include "vernier/plan.h"

namespace vernier {
namespace {

constexpr size_t kMaxLines = 100'000;
constexpr size_t kMaxLineBytes = 8192;
constexpr size_t kMaxPatternBytes = 1024;
constexpr size_t kMaxCompiledBytes = size_t{256} << 20;  // of all patterns: nested repeats grow a thousandfold
constexpr uint32_t kMatchLimit = 1'000'000;  // backtracking steps: an evil pattern ends in an error, not a hang
constexpr uint32_t kHeapLimitKiB = 20'000;

/// A pattern that matches this name alone, in the dialects of Perl and of ECMAScript (which llama-quantize uses).
/// Blanks, '#' and '=' would end a pattern, so they are written as \xHH.
std::string anchored_pattern(std::string_view name) {
  std::string pattern = "^";
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte == 0x7f || c == '#' || c == '=') {
      pattern += fmt::format("\\x{:02x}", byte);
    } else {
      if (std::string_view("\\^$.|?*+()[]{}/").find(c) != std::string_view::npos) pattern += '\\';
      pattern += c;
    }
  }
  return pattern + "$";
}

std::string one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
  return text;
}

struct FreeCode {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
struct FreeMatchData {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};
struct FreeMatchContext {
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};
using PatternCode = std::unique_ptr<pcre2_code, FreeCode>;

bool has_negation(const std::string& pattern) {
  return pattern.find("(?!") != std::string::npos || pattern.find("(?<!") != std::string::npos ||
         pattern.find("[^") != std::string::npos;
}

std::string pattern_error(int error) {
  PCRE2_UCHAR text[160] = {};
  pcre2_get_error_message(error, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

PatternCode compile_pattern(const std::string& pattern, const std::string& where) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  PatternCode code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), PCRE2_NEVER_UTF, &error,
                                 &offset, nullptr));
  if (code == nullptr)
    fail(ErrorKind::kBadFile, "{}: pattern \"{}\": {} at character {}", where, pattern, pattern_error(error),
         offset + 1);
  return code;
}

RecipeRule parse_line(std::string_view line, const std::string& where) {
  RecipeRule rule;
  for (size_t at = 1; at < line.size(); ++at) {
    if (line[at] != '#' || !is_blank(line[at - 1])) continue;
    rule.reason = std::string(trim(line.substr(at + 1)));
    line = trim(line.substr(0, at));
    break;
  }
  const size_t equals = line.rfind('=');
  if (equals == std::string_view::npos)
    fail(ErrorKind::kBadFile, "{}: expected `regex = scheme  # reason`, got \"{}\"", where, line.substr(0, 80));
  const std::string_view pattern = trim(line.substr(0, equals)), scheme = trim(line.substr(equals + 1));
  if (pattern.empty() || scheme.empty())
    fail(ErrorKind::kBadFile, "{}: expected `regex = scheme  # reason`, got no {}", where,
         pattern.empty() ? "regex" : "scheme");
  if (std::any_of(scheme.begin(), scheme.end(), is_blank))
    fail(ErrorKind::kBadFile, "{}: scheme \"{}\" contains a blank; a reason begins with #", where,
         scheme.substr(0, 80));
  if (pattern.size() > kMaxPatternBytes)
    fail(ErrorKind::kBadFile, "{}: pattern of {} characters, at most {}", where, pattern.size(), kMaxPatternBytes);
  rule.pattern = std::string(pattern);
  rule.scheme = std::string(scheme);
  return rule;
}

}  // namespace

std::string recipe_text(const Plan& plan) {
  const std::string damage =
      std::isnan(plan.predicted_kl_nats) ? "how much damage this does is not foretold, since none of it was measured."
      : std::isnan(plan.lower_bound_kl_nats)
          ? fmt::format("predicted damage {:.4g} nats per token", plan.predicted_kl_nats)
          : fmt::format("predicted damage {:.4g} nats per token, at least {:.4g} for any choice of this size",
                        plan.predicted_kl_nats, plan.lower_bound_kl_nats);
  const std::string asked = one_line(plan.budget_text), bytes = with_commas(plan.budget_bytes);
  const bool in_bytes = asked.empty() || asked == std::to_string(plan.budget_bytes);
  const std::string budget =
      plan.budget_bytes == 0 ? "" : fmt::format(", budget {}{} bytes", in_bytes ? "" : asked + " = ", bytes);
  std::string text = fmt::format(
      "# vernier recipe: {} for {}{}\n"
      "# {} tensors, {} bytes; {}\n"
      "# One line per tensor: regex = scheme  # reason. The first match wins.\n\n",
      one_line(plan.label), one_line(plan.target), budget, plan.entries.size(), with_commas(plan.tensor_bytes), damage);
  for (const PlanEntry& entry : plan.entries) {
    text += fmt::format("{} = {}", anchored_pattern(entry.tensor), entry.scheme);
    if (!entry.reason.empty()) text += "  # " + one_line(entry.reason);
    text += '\n';
  }
  return text;
}

std::string carried_recipe(const Plan& plan) {
  // As wide as the longest names there are: "smoothquant", "gguf:iq2_xxs".
  std::string text =
      fmt::format("# values by {:>11}\n", plan.provenance.contains("fine_tuned") ? "training" : plan.method);
  for (const PlanEntry& entry : plan.entries)
    text += fmt::format("{} = {:>12}\n", anchored_pattern(entry.tensor), entry.scheme);
  return text;
}

struct Recipe::Patterns {
  std::vector<PatternCode> codes;
};

/// What matching needs beside the patterns: one per call, since a recipe may be asked by several threads.
struct Recipe::Matcher {
  std::unique_ptr<pcre2_match_context, FreeMatchContext> context{pcre2_match_context_create(nullptr)};
  std::unique_ptr<pcre2_match_data, FreeMatchData> data{pcre2_match_data_create(1, nullptr)};

  Matcher() {
    if (context == nullptr || data == nullptr) throw std::bad_alloc();
    pcre2_set_match_limit(context.get(), kMatchLimit);
    pcre2_set_heap_limit(context.get(), kHeapLimitKiB);
  }
};

bool Recipe::matches(const Matcher& matcher, size_t rule, std::string_view name) const {
  const int result = pcre2_match(patterns_->codes[rule].get(), reinterpret_cast<PCRE2_SPTR>(name.data()), name.size(),
                                 0, 0, matcher.data.get(), matcher.context.get());
  if (result < 0 && result != PCRE2_ERROR_NOMATCH)
    fail(ErrorKind::kBadFile, "{}:{}: pattern \"{}\" on {}: {}", origin_, rules_[rule].line, rules_[rule].pattern, name,
         pattern_error(result));
  return result >= 0;
}

Recipe parse_recipe(std::string_view text, const std::string& origin) {
  Recipe recipe;
  recipe.origin_ = origin;
  auto patterns = std::make_shared<Recipe::Patterns>();
  size_t number = 0, compiled_bytes = 0;
  text = without_byte_order_mark(text, origin);
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::string where = fmt::format("{}:{}", origin, ++number);
    if (number > kMaxLines) fail(ErrorKind::kBadFile, "{}: more than {} lines", where, kMaxLines);
    if (line.size() > kMaxLineBytes) fail(ErrorKind::kBadFile, "{}: line of {} bytes", where, line.size());
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    const auto is_control = [](unsigned char c) { return (c < 0x20 && c != '\t') || c == 0x7f; };
    if (std::any_of(line.begin(), line.end(), is_control))
      fail(ErrorKind::kBadFile, "{}: control character; is this a text file?", where);
    line = trim(line);
    if (line.empty() || line.front() == '#') continue;
    RecipeRule rule = parse_line(line, where);
    rule.line = static_cast<int>(number);
    patterns->codes.push_back(compile_pattern(rule.pattern, where));
    recipe.rules_.push_back(std::move(rule));
    size_t bytes = 0;
    pcre2_pattern_info(patterns->codes.back().get(), PCRE2_INFO_SIZE, &bytes);
    compiled_bytes += bytes;
    if (compiled_bytes > kMaxCompiledBytes) fail(ErrorKind::kBadFile, "{}: patterns need more than 256 MiB", where);
  }
  recipe.patterns_ = std::move(patterns);
  return recipe;
}

std::optional<size_t> Recipe::find(std::string_view tensor) const {
  const Matcher matcher;
  for (size_t i = 0; i < rules_.size(); ++i)
    if (matches(matcher, i, tensor)) return i;
  return std::nullopt;
}

std::vector<std::optional<size_t>> Recipe::find_all(const std::vector<std::vector<std::string>>& names) const {
  const Matcher matcher;
  // Per rule with a negation and per naming, whether it matches anything: looked for where the rule is first reached.
  std::vector<std::optional<std::vector<bool>>> finds(rules_.size());
  const auto namings = [&](size_t rule) -> const std::vector<bool>& {
    if (!finds[rule]) {
      finds[rule].emplace(names.front().size());
      for (const auto& tensor : names)
        for (size_t n = 0; n < tensor.size(); ++n)
          if (!(*finds[rule])[n] && matches(matcher, rule, tensor[n])) (*finds[rule])[n] = true;
    }
    return *finds[rule];
  };
  const auto decides = [&](size_t rule, const std::vector<std::string>& tensor) {
    const auto by_name = [&](const std::string& name) { return matches(matcher, rule, name); };
    if (!has_negation(rules_[rule].pattern)) return std::any_of(tensor.begin(), tensor.end(), by_name);
    const std::vector<bool>& found = namings(rule);
    for (size_t n = 0; n < tensor.size(); ++n)
      if (found[n] && !by_name(tensor[n])) return false;
    return std::find(found.begin(), found.end(), true) != found.end();
  };
  std::vector<std::optional<size_t>> rules;
  for (const auto& tensor : names) {
    rules.emplace_back();
    for (size_t i = 0; i < rules_.size() && !rules.back(); ++i)
      if (decides(i, tensor)) rules.back() = i;
  }
  return rules;
}

}  // namespace vernier
