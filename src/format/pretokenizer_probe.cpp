#include "format/pretokenizer_probe.h"

#include <algorithm>

#include "base/json.h"
#include "format/pretokenizer.h"

namespace vernier {

std::string_view pretokenizer_probe() {
  return "It's 1 12 123 1234 12345 123456 1234567, isn't it? THEY'LL say I'M sure: DON'T 'tis y'all've\n"
         "\n"
         "  two  spaces,\t\ttwo tabs \r\n\r\n   before a word \n \n\n"
         "for (int i = 0; i < n; ++i) { sum += a[i] * 1e-3f; } // ok/\n"
         "if(a!=b&&c|d)x=~y^z; foo_bar.baz(__init__)-qux/quux $5 +5 =6 `code` <b>\"quoted\"</b> #tag @name 50% "
         "...wait!!!\n\n"
         "camelCase HTTPServer McDonald \u00C9cole \u00C9COLE na\u00EFve caf\u00E9; \u00ABce\u0161tina\u00BB "
         "\u201Cquoted\u201D\u2026 don\u2019t\n"
         "e\u0301a\u0308 n\u0303o E\u0301A \u0301x !\u0301y 2\u0301z\n"
         "\u4E2D\u6587\u5B57\u7B26123\u5E74\u3002\u5929\u6C14\uFF01 \u3072\u3089\u304C\u306A\u30AB\u30BF\u30AB\u30CA "
         "\uD55C\uAD6D\uC5B4 abc\u4E2D\u6587def\n"
         "\u0639\u064E\u0631\u064E\u0628\u0650\u064A\u0651\u060C \u0661\u0662\u0663\u0664 "
         "\u0928\u092E\u0938\u094D\u0924\u0947 \u0967\u0968\u0969\u0964 \u041F\u0440\u0438\u0432\u0435\u0442 "
         "\u0391\u0392\u0393\u03B1\u03B2\u03B3 \u01C5a \u02B0x x\u2081\u00B2 \u00BD\u2167\n"
         "\U0001F469\u200D\U0001F469\u200D\U0001F467 \U0001F642\U0001F3FD \U0001D4B3 \u2260 \u20AC4\u00A9 "
         "\u00A0no\u3000break\u2003space  ";
}

std::vector<std::string> probe_words(const PreTokenizerRules& rules, const std::string& origin) {
  const PreTokenizer splitter(rules, origin);
  PreTokenizer::Scratch scratch(splitter);
  std::vector<std::string> words;
  splitter.split(pretokenizer_probe(), scratch, [&](std::string_view word) { words.emplace_back(word); });
  return words;
}

std::optional<SplitDifference> first_split_difference(const std::vector<std::string>& a,
                                                      const std::vector<std::string>& b) {
  const auto [first_a, first_b] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  if (first_a == a.end() && first_b == b.end()) return std::nullopt;
  constexpr size_t kMost = 6;
  SplitDifference difference;
  auto in_a = first_a, in_b = first_b;
  size_t bytes_a = 0, bytes_b = 0;
  do {
    const bool take_a = in_a != a.end() && (bytes_a <= bytes_b || in_b == b.end());
    auto& words = take_a ? difference.a : difference.b;
    auto& next = take_a ? in_a : in_b;
    if (words.size() == kMost || next == (take_a ? a.end() : b.end())) break;
    (take_a ? bytes_a : bytes_b) += next->size();
    words.push_back(*next++);
  } while (bytes_a != bytes_b);
  return difference;
}

std::string quoted(const std::vector<std::string>& words) {
  return Json(words).dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace vernier
