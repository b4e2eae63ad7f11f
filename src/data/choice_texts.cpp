#include <algorithm>
#include <cmath>

#include "base/fail.h"
#include "data/windows_hash.h"
#include "vernier/choices.h"

namespace vernier {

namespace {

std::vector<int32_t> with_bos(const Tokenizer& tokenizer, std::string_view text) {
  std::vector<int32_t> ids = tokenizer.encode(text, {.add_special = false, .parse_special = false});
  if (tokenizer.adds_bos()) ids.insert(ids.begin(), *tokenizer.bos_id());
  return ids;
}

/// Solved questions in front of the one at `index`.
std::string shots_before(const std::vector<ChoiceItem>& items, size_t index, int64_t shots) {
  std::string text;
  for (size_t i = 0; i < items.size() && shots > 0; ++i) {
    if (i == index) continue;
    text += items[i].question + " " + items[i].choices[static_cast<size_t>(items[i].answer)] + "\n\n";
    --shots;
  }
  return text;
}

/// Keeps what is scored and as much in front of it as fits, BOS first.
TokenWindow cut_front(TokenWindow window, int64_t context, bool bos) {
  const auto excess = static_cast<int64_t>(window.tokens.size()) - context;
  if (excess <= 0) return window;
  const auto first = window.tokens.begin() + (bos ? 1 : 0);
  window.tokens.erase(first, first + excess);
  window.first_row -= excess;
  return window;
}

void require_windows(const ScoredTexts& texts, std::span<const double> log_likelihoods) {
  if (log_likelihoods.size() != texts.text.size())
    fail(ErrorKind::kInvalidArgument, "data: {}: {} log-likelihoods, expected one for each of {} windows",
         texts.data.name, log_likelihoods.size(), texts.text.size());
}

}  // namespace

ScoredTexts choice_texts(const Tokenizer& tokenizer, const std::string& name, const std::vector<ChoiceItem>& items,
                         const ChoiceOptions& options) {
  if (options.shots < 0 || options.shots >= static_cast<int64_t>(items.size()))
    fail(ErrorKind::kInvalidArgument, "data: {}: {} solved questions in front, expected 0 to {}, the other ones", name,
         options.shots, static_cast<int64_t>(items.size()) - 1);
  ScoredTexts texts;
  texts.data.name = name;
  texts.data.context = options.context;
  for (size_t i = 0; i < items.size(); ++i) {
    const ChoiceItem& item = items[i];
    const std::string front = shots_before(items, i, options.shots) + item.question;
    const auto before = static_cast<int64_t>(with_bos(tokenizer, front).size());
    texts.data.clusters.push_back({item.group, 0, -1});
    for (size_t c = 0; c < item.choices.size(); ++c) {
      TokenWindow window{with_bos(tokenizer, front + " " + item.choices[c]), 0, static_cast<int64_t>(i)};
      // Tokens that cross the border would leave nothing to score.
      const auto length = static_cast<int64_t>(window.tokens.size());
      window.first_row = std::clamp<int64_t>(before - 1, 0, std::max<int64_t>(length - 2, 0));
      if (length < 2 || window.scored() >= options.context)
        fail(ErrorKind::kInvalidArgument,
             "data: {}: line {}: answer {} has {} tokens, which do not fit a context of {}", name, item.line, c,
             window.scored(), options.context);
      texts.data.windows.push_back(cut_front(std::move(window), options.context, tokenizer.adds_bos()));
      texts.text.push_back(
          {static_cast<int64_t>(i), static_cast<int64_t>(c), static_cast<int64_t>(item.choices[c].size())});
    }
  }
  texts.data.hash = hash_windows(texts.data);
  return texts;
}

ScoredTexts pair_texts(const Tokenizer& tokenizer, const std::string& name, const std::vector<SentencePair>& pairs) {
  ScoredTexts texts;
  texts.data.name = name;
  for (size_t i = 0; i < pairs.size(); ++i) {
    texts.data.clusters.push_back({pairs[i].group, 0, -1});
    int64_t choice = 0;
    for (const std::string* sentence : {&pairs[i].more, &pairs[i].less}) {
      TokenWindow window{with_bos(tokenizer, *sentence), 0, static_cast<int64_t>(i)};
      if (window.tokens.size() < 2)
        fail(ErrorKind::kInvalidArgument, "data: {}: line {}: \"{}\" has no token that could be scored", name,
             pairs[i].line, *sentence);
      texts.data.windows.push_back(std::move(window));
      texts.text.push_back({static_cast<int64_t>(i), choice++, static_cast<int64_t>(sentence->size())});
    }
  }
  texts.data.context = texts.data.longest();
  texts.data.hash = hash_windows(texts.data);
  return texts;
}

std::vector<ChoiceAnswer> choice_answers(const std::vector<ChoiceItem>& items, const ScoredTexts& texts,
                                         std::span<const double> log_likelihoods) {
  require_windows(texts, log_likelihoods);
  std::vector<std::vector<double>> sums(items.size()), per_byte(items.size());
  for (size_t w = 0; w < log_likelihoods.size(); ++w) {
    const auto item = static_cast<size_t>(texts.text[w].item);
    sums.at(item).push_back(log_likelihoods[w]);
    per_byte[item].push_back(log_likelihoods[w] / static_cast<double>(texts.text[w].bytes));
  }
  const auto greatest = [](const std::vector<double>& values) {
    return static_cast<int32_t>(std::max_element(values.begin(), values.end()) - values.begin());
  };
  std::vector<ChoiceAnswer> answers;
  for (size_t i = 0; i < items.size(); ++i) {
    ChoiceAnswer answer{greatest(sums[i]), greatest(per_byte[i])};
    answer.correct = answer.likeliest == items[i].answer;
    answer.normalized_correct = answer.normalized == items[i].answer;
    const double most = sums[i][static_cast<size_t>(answer.likeliest)];
    double total = 0;
    for (const double sum : sums[i]) total += std::exp(sum - most);
    answer.loss_nats = std::log(total) + most - sums[i][static_cast<size_t>(items[i].answer)];
    answers.push_back(answer);
  }
  return answers;
}

std::vector<double> pair_preferences(const std::vector<SentencePair>& pairs, const ScoredTexts& texts,
                                     std::span<const double> log_likelihoods) {
  require_windows(texts, log_likelihoods);
  std::vector<double> preferences(pairs.size());
  for (size_t w = 0; w < log_likelihoods.size(); ++w)
    preferences.at(static_cast<size_t>(texts.text[w].item)) +=
        (texts.text[w].choice == 0 ? 1 : -1) * log_likelihoods[w];
  return preferences;
}

}  // namespace vernier
