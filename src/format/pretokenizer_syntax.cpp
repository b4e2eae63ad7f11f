#include "format/pretokenizer_syntax.h"

#include <array>
#include <cstring>
#include <vector>

#include "base/fail.h"

namespace vernier {
namespace {

// White_Space and its complement. PCRE2's own \s also takes U+180E, as old Perls did.
constexpr const char* kSpaces =
    "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}";
constexpr const char* kNoSpaces =
    "\\x{0}-\\x{8}\\x{e}-\\x{1f}\\x{21}-\\x{84}\\x{86}-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{1fff}\\x{200b}-\\x{2027}"
    "\\x{202a}-\\x{202e}\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}\\x{3001}-\\x{10ffff}";
constexpr const char* kWordCharacters = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}";
constexpr const char* kHexDigits = "0-9A-Fa-f";

// Long names of general categories, which PCRE2 knows by their letters only. Other long names are scripts, for which
// PCRE2 would take Script_Extensions where Oniguruma takes Script.
constexpr std::array<std::array<const char*, 2>, 14> kPropertyNames = {{{"Letter", "L"},
                                                                        {"Mark", "M"},
                                                                        {"Number", "N"},
                                                                        {"Punctuation", "P"},
                                                                        {"Punct", "P"},
                                                                        {"Symbol", "S"},
                                                                        {"Separator", "Z"},
                                                                        {"Other", "C"},
                                                                        {"Digit", "Nd"},
                                                                        {"Upper", "Uppercase"},
                                                                        {"Lower", "Lowercase"},
                                                                        {"Alpha", "Alphabetic"},
                                                                        {"Alphabetic", "Alphabetic"},
                                                                        {"Any", "Any"}}};

class Translator {
 public:
  explicit Translator(std::string_view pattern) : in_(pattern) {}

  std::string run() {
    while (at_ < in_.size()) step();
    return std::move(out_);
  }

 private:
  char peek(size_t ahead = 0) const { return at_ + ahead < in_.size() ? in_[at_ + ahead] : '\0'; }

  [[noreturn]] void refuse(const char* what) const {
    fail(ErrorKind::kUnsupported, "tokenizer: expression \"{}\": {} at byte {} cannot be run by PCRE2", in_, what, at_);
  }

  void step() {
    const char c = peek();
    switch (c) {
      case '\\':
        atom_ = out_.size();
        escape(false);
        return;
      case '[':
        atom_ = out_.size();
        character_class();
        return;
      case '(':
        groups_.push_back(out_.size());
        group_start();
        return;
      case ')':
        atom_ = groups_.empty() ? out_.size() : groups_.back();
        if (!groups_.empty()) groups_.pop_back();
        break;
      case '{':
        if (interval()) return;
        atom_ = out_.size();
        break;
      case '*':
      case '+':
      case '?': break;
      default:
        if ((static_cast<unsigned char>(c) & 0xC0) != 0x80) atom_ = out_.size();
    }
    out_ += c;
    ++at_;
  }

  void group_start() {
    if (peek(1) == '*') refuse("a callout \"(*\"");
    out_ += '(';
    ++at_;
    if (peek() != '?') return;
    size_t end = at_ + 1;
    while (end < in_.size() && std::strchr("imx-", in_[end]) != nullptr) ++end;
    if (end == in_.size() || (in_[end] != ':' && in_[end] != ')')) return;
    for (; at_ < end; ++at_) out_ += in_[at_] == 'm' ? 's' : in_[at_];  // Ruby's (?m) lets the dot match newlines
  }

  // {n}, {n,}, {,m}, {n,m}; a '+' behind it repeats again in Ruby and is possessive in PCRE2.
  bool interval() {
    size_t end = at_ + 1, digits = 0, commas = 0;
    for (; end < in_.size() && in_[end] != '}'; ++end) {
      if (in_[end] >= '0' && in_[end] <= '9') {
        ++digits;
      } else if (in_[end] != ',' || ++commas > 1) {
        return false;
      }
    }
    if (end == in_.size() || digits == 0) return false;
    std::string text(in_.substr(at_, end + 1 - at_));
    if (text[1] == ',') text.insert(1, "0");
    at_ = end + 1;
    out_ += text;
    if (peek() == '+') {
      out_.insert(atom_, "(?:");
      out_ += ")+";
      ++at_;
    }
    return true;
  }

  void escape(bool in_class) {
    const char c = peek(1);
    const auto set = [&](const char* body, bool negated) {
      if (negated && in_class) refuse("a negated shorthand in a class");
      if (!in_class) out_ += negated ? "[^" : "[";
      out_ += body;
      if (!in_class) out_ += ']';
      at_ += 2;
    };
    if (!in_class && (c == 'b' || c == 'B')) {  // PCRE2's own has another idea of a word character, without marks
      out_ += fmt::format("(?:(?<=[{0}])(?{1}[{0}])|(?<![{0}])(?{2}[{0}]))", kWordCharacters, c == 'b' ? '!' : '=',
                          c == 'b' ? '=' : '!');
      at_ += 2;
      return;
    }
    switch (c) {
      case 's': return set(kSpaces, false);
      case 'S': return set(kNoSpaces, false);
      case 'w': return set(kWordCharacters, false);
      case 'W': return set(kWordCharacters, true);
      case 'h': return set(kHexDigits, false);
      case 'H': return set(kHexDigits, true);
      case 'd': return set("\\p{Nd}", false);
      case 'D': return set("\\P{Nd}", false);
      case 'v': return set("\\x{b}", false);
      case 'u': return code_point();
      case 'p':
      case 'P': return property();
      default: break;
    }
    out_ += '\\';
    ++at_;
    if (at_ < in_.size()) out_ += in_[at_++];
  }

  void code_point() {  // \uHHHH
    const std::string_view hex = in_.substr(at_ + 2, 4);
    if (hex.size() < 4 || hex.find_first_not_of("0123456789abcdefABCDEF") != hex.npos)
      refuse("\\u without four digits");
    out_.append("\\x{").append(hex).append("}");
    at_ += 6;
  }

  void property() {
    const size_t end = in_.find('}', at_);
    if (peek(2) != '{' || end == in_.npos) refuse("\\p without {name}");
    std::string_view name = in_.substr(at_ + 3, end - at_ - 3);
    out_.append("\\").append(1, peek(1)).append("{");
    if (name.starts_with('^')) {
      out_ += '^';
      name.remove_prefix(1);
    }
    std::string mapped(name);
    if (name.size() > 2) {
      mapped = "sc:" + mapped;
      for (const auto& [longer, shorter] : kPropertyNames)
        if (name == longer) mapped = shorter;
    }
    out_.append(mapped).append("}");
    at_ = end + 1;
  }

  void character_class() {
    out_ += '[';
    ++at_;
    if (peek() == '^') out_ += in_[at_++];
    class_body(0);
    out_ += ']';
  }

  // Up to and including the closing bracket. A class inside a class is a union, so its content is simply appended.
  void class_body(int depth) {
    constexpr int kMaxDepth = 32;
    if (depth > kMaxDepth) refuse("classes nested deeper than 32");
    if (peek() == ']') {
      out_ += "\\]";
      ++at_;
    }
    while (at_ < in_.size() && peek() != ']') {
      if (peek() == '\\') {
        escape(true);
      } else if (peek() == '[' && peek(1) == ':' && in_.find(":]", at_) != in_.npos) {
        const size_t end = in_.find(":]", at_) + 2;
        out_.append(in_.substr(at_, end - at_));
        at_ = end;
      } else if (peek() == '[') {
        ++at_;
        if (peek() == '^') refuse("a negated class inside a class");
        class_body(depth + 1);
      } else if (peek() == '&' && peek(1) == '&') {
        refuse("an intersection \"&&\"");
      } else {
        out_ += in_[at_++];
      }
    }
    if (at_ >= in_.size()) fail(ErrorKind::kBadFile, "tokenizer: expression \"{}\": a class is never closed", in_);
    ++at_;
  }

  std::string_view in_;
  std::string out_;
  size_t at_ = 0;
  size_t atom_ = 0;             // where in out_ the thing starts that a quantifier would repeat
  std::vector<size_t> groups_;  // where in out_ the open groups start
};
}  // namespace

std::string to_pcre2_syntax(std::string_view pattern) { return Translator(pattern).run(); }

std::string escape_pattern(std::string_view text) {
  std::string pattern;
  for (const char c : text) {
    if (std::strchr("\\^$.[]|()?*+{}-&#/", c) != nullptr && c != '\0') pattern += '\\';
    pattern += c;
  }
  return pattern;
}

}  // namespace vernier
