#pragma once

// Questions with several answers, and pairs of sentences, as windows of tokens: what a language model finds likelier is
// what it answers.
//
//   const std::vector<ChoiceItem> items = read_choices("hellaswag_val.jsonl");
//   const ScoredTexts texts = choice_texts(tokenizer, "hellaswag", items, {.shots = 5});
//   const std::vector<ChoiceAnswer> answers = choice_answers(items, texts, log_likelihoods);  // one per window
//
//   const std::vector<SentencePair> pairs = read_sentence_pairs("crows_pairs_anonymized.csv");

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vernier/data.h"

namespace vernier {

struct ChoiceItem {
  std::string question;              ///< all that stands before an answer, without the space between
  std::vector<std::string> choices;  ///< at least 2
  int32_t answer = 0;                ///< index of the right one
  std::string group;                 ///< "" for none
  int64_t line = 0;                  ///< of the file, from 1
};

/// One JSON object per line, in the form of HellaSwag (`ctx`, or `ctx_a` and `ctx_b`, with `activity_label`; `endings`,
/// `label`) or of ARC (`question` with `choices` and `answerKey`, as AI2 or as Hugging Face writes them). Questions are
/// put as lm-evaluation-harness does: "Activity: context" without WikiHow's brackets, "Question: ...\nAnswer:". The group is what
/// stands under `group_key`, a string, an integer or a boolean; "group" may be absent, any other key must be there.
/// @throws Error{kIo}; Error{kBadFile} by line for another form, fewer than 2 answers, a label out of range
std::vector<ChoiceItem> read_choices(const std::filesystem::path& path, const std::string& group_key = "group");
/// The same from text; `origin` names it in messages.
std::vector<ChoiceItem> parse_choices(std::string_view text, const std::string& origin,
                                      const std::string& group_key = "group");

/// Two sentences that differ in whom they speak of.
struct SentencePair {
  std::string more, less;  ///< the one that stereotypes more, and the one that does less
  bool stereotype = true;  ///< false: against the stereotype
  std::string group;       ///< the bias type
  int64_t line = 0;
};

/// CSV in the form of CrowS-Pairs (arXiv 2010.00133): columns sent_more, sent_less, bias_type and, if there,
/// stereo_antistereo. @throws Error{kIo}; Error{kBadFile} by line for an empty or missing cell and two equal sentences
std::vector<SentencePair> read_sentence_pairs(const std::filesystem::path& path);
std::vector<SentencePair> parse_sentence_pairs(std::string_view text, const std::string& origin);

/// Which text a window is: `choice` of `item` (of a pair: 0 is `more`, 1 is `less`).
struct ScoredText {
  int64_t item = 0, choice = 0;
  int64_t bytes = 0;  ///< UTF-8, of the text whose tokens are scored, without the space in front
};

struct ScoredTexts {
  EvaluationData data;           ///< a cluster per item
  std::vector<ScoredText> text;  ///< of each window
};

struct ChoiceOptions {
  int64_t context = 2048;  ///< tokens of the longest window; of a longer one the front is cut
  int64_t shots = 0;       ///< solved questions in front, the first of the other ones in the file
};

/// A window per answer: BOS if the vocabulary adds it, solved questions, question, space, answer; the answer's tokens are
/// scored, where the split between question and answer is that of the whole text's tokens, as in lm-evaluation-harness.
/// @throws Error{kInvalidArgument} by line for an answer that does not fit the context, and for too few other questions
ScoredTexts choice_texts(const Tokenizer& tokenizer, const std::string& name, const std::vector<ChoiceItem>& items,
                         const ChoiceOptions& options = {});
/// A window per sentence, all of its tokens scored; without a BOS all but the first.
ScoredTexts pair_texts(const Tokenizer& tokenizer, const std::string& name, const std::vector<SentencePair>& pairs);

struct ChoiceAnswer {
  int32_t likeliest = 0;   ///< by log-likelihood ("acc")
  int32_t normalized = 0;  ///< by log-likelihood per byte of the answer ("acc_norm"; the harness counts characters)
  bool correct = false, normalized_correct = false;
  double loss_nats = 0;  ///< of the right answer among the answers: softmax over their log-likelihoods
};

/// @shape log_likelihoods: of each window, the sum over its scored tokens in nats
/// @throws Error{kInvalidArgument} for another number of windows
std::vector<ChoiceAnswer> choice_answers(const std::vector<ChoiceItem>& items, const ScoredTexts& texts,
                                         std::span<const double> log_likelihoods);

/// Of each pair, by how many nats the sentence that stereotypes more is likelier than the other.
/// @shape log_likelihoods: as above
std::vector<double> pair_preferences(const std::vector<SentencePair>& pairs, const ScoredTexts& texts,
                                     std::span<const double> log_likelihoods);

}  // namespace vernier
