#include "vernier/text_perturbations.h"

#include "base/fail.h"
#include "corruptions/drawn.h"
#include "vernier/corruptions.h"

namespace vernier {

namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/// Writes what stands for text[at] and returns how many characters of the text that was.
using Change = size_t (*)(std::string_view text, size_t at, Drawn& drawn, std::string& out);

size_t other_case(std::string_view text, size_t at, Drawn&, std::string& out) {
  out += static_cast<char>(text[at] ^ 0x20);
  return 1;
}

/// A neighbour on an American keyboard, or the letter itself where it has none in the table.
char neighbour(char c, Drawn& drawn) {
  constexpr std::string_view kRows[] = {"qwertyuiop", "asdfghjkl", "zxcvbnm"};
  const char lower = static_cast<char>(c | 0x20);
  for (const std::string_view row : kRows)
    if (const size_t at = row.find(lower); at != std::string_view::npos) {
      const bool left = at + 1 == row.size() || (at > 0 && drawn.uniform() < 0.5);
      return static_cast<char>(row[left ? at - 1 : at + 1] ^ (c ^ lower));
    }
  return c;
}

size_t typing_error(std::string_view text, size_t at, Drawn& drawn, std::string& out) {
  switch (drawn.below(4)) {
    case 0: return 1;  // left out
    case 1: out.append(2, text[at]); return 1;
    case 2: out += neighbour(text[at], drawn); return 1;
    default: break;
  }
  if (at + 1 < text.size() && is_letter(text[at + 1])) {  // in the wrong order
    out += text[at + 1];
    out += text[at];
    return 2;
  }
  out += neighbour(text[at], drawn);
  return 1;
}

size_t other_blank(std::string_view, size_t, Drawn& drawn, std::string& out) {
  switch (drawn.below(3)) {
    case 0: break;  // two words become one
    case 1: out += "  "; break;
    default: out += '\t';
  }
  return 1;
}

/// Cyrillic and Greek letters that look like Latin ones.
struct Lookalike {
  char latin;
  std::string_view other;
};
constexpr Lookalike kLookalikes[] = {
    {'a', "\u0430"}, {'c', "\u0441"}, {'e', "\u0435"}, {'i', "\u0456"}, {'j', "\u0458"}, {'o', "\u043e"},
    {'p', "\u0440"}, {'s', "\u0455"}, {'x', "\u0445"}, {'y', "\u0443"}, {'A', "\u0391"}, {'B', "\u0392"},
    {'E', "\u0395"}, {'H', "\u0397"}, {'I', "\u0399"}, {'K', "\u039a"}, {'M', "\u039c"}, {'N', "\u039d"},
    {'O', "\u039f"}, {'P', "\u03a1"}, {'T', "\u03a4"}, {'X', "\u03a7"}, {'Y', "\u03a5"}, {'Z', "\u0396"}};

std::string_view lookalike_of(char c) {
  for (const Lookalike& row : kLookalikes)
    if (row.latin == c) return row.other;
  return {};
}

size_t lookalike(std::string_view text, size_t at, Drawn&, std::string& out) {
  out += lookalike_of(text[at]);
  return 1;
}

struct TextPerturbationRow {
  TextPerturbation facts;
  bool (*applies)(char c);
  Change change;
};

const TextPerturbationRow kTextRows[] = {
    {{"case", "case", "letters in the other case", {.02, .05, .1, .2, .5}}, is_letter, other_case},
    {{"typos", "typing errors", "letters left out, doubled, swapped, or a key beside", {.01, .02, .05, .1, .2}},
     is_letter,
     typing_error},
    {{"whitespace", "whitespace", "blanks left out, doubled, or tabs", {.02, .05, .1, .2, .5}},
     [](char c) { return c == ' '; },
     other_blank},
    {{"homoglyphs", "look-alikes", "Cyrillic and Greek letters that look Latin", {.01, .02, .05, .1, .2}},
     [](char c) { return !lookalike_of(c).empty(); },
     lookalike},
};

}  // namespace

const std::vector<TextPerturbation>& text_perturbations() {
  static const std::vector<TextPerturbation> facts = [] {
    std::vector<TextPerturbation> all;
    for (const TextPerturbationRow& row : kTextRows) all.push_back(row.facts);
    return all;
  }();
  return facts;
}

const TextPerturbation& find_text_perturbation(std::string_view key) {
  std::string known;
  for (const TextPerturbation& row : text_perturbations()) {
    if (row.key == key) return row;
    known += (known.empty() ? "" : ", ") + std::string(row.key);
  }
  fail(ErrorKind::kInvalidArgument, "text: there is no perturbation \"{}\"; there are {}", key, known);
}

std::string perturb_text(std::string_view text, const TextPerturbation& perturbation, int severity, uint64_t seed) {
  if (severity < 1 || severity > static_cast<int>(perturbation.rates.size()))
    fail(ErrorKind::kInvalidArgument, "text: {} of severity {}, expected 1 to {}", perturbation.key, severity,
         perturbation.rates.size());
  const double rate = perturbation.rates[static_cast<size_t>(severity - 1)];
  for (const TextPerturbationRow& row : kTextRows) {
    if (row.facts.key != perturbation.key) continue;
    Drawn drawn(corruption_seed(seed, 0, perturbation.key, severity));
    std::string out;
    for (size_t at = 0; at < text.size();) {
      if (row.applies(text[at]) && drawn.uniform() < rate) {
        at += row.change(text, at, drawn, out);
      } else {
        out += text[at++];
      }
    }
    return out;
  }
  fail(ErrorKind::kInvalidArgument, "text: there is no perturbation \"{}\"", perturbation.key);
}

}  // namespace vernier
