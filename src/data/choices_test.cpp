#include "vernier/choices.h"

#include <gmock/gmock.h>

#include <cmath>

#include "support/expect_error.h"

namespace vernier {
namespace {

using ::testing::ElementsAre;

const char* const kHellaSwag =
    R"({"ind": 4, "activity_label": "Removing ice from car", "ctx_a": "A man  writes [step] over the snow.", "ctx_b": "THEN", "ctx": "x", )"
    R"("endings": [", he stops [title] Now.", " he goes  on. "], "label": "1", "split": "val", "group": "car"})";
const char* const kArc =
    R"({"id": "M1", "question": {"stem": "What melts?", "choices": [{"text": "ice", "label": "A"}, {"text": "rock", "label": "B"}]}, "answerKey": "A"})";
const char* const kArcOfHuggingFace =
    R"({"id": "M2", "question": "What burns?", "choices": {"text": ["water", "sand", "wood"], "label": ["1", "2", "3"]}, "answerKey": "3"})";

Tokenizer choice_tokenizer(const char* kind, bool bos = false) {
  TokenizerModel model =
      load_tokenizer_model(std::filesystem::path(VERNIER_SOURCE_DIR) / "tests/fixtures/tokenizers" / kind);
  if (bos) model.bos_id = 0, model.prefix_ids = {0};
  return Tokenizer(std::move(model));
}

TEST(Choices, HellaSwagAndArcAreReadAsTheHarnessPutsThem) {
  const auto items = parse_choices(std::string(kHellaSwag) + "\n\n" + kArc + "\n" + kArcOfHuggingFace, "q.jsonl");
  ASSERT_EQ(items.size(), 3u);
  EXPECT_EQ(items[0].question, "Removing ice from car: A man writes over the snow. Then");
  EXPECT_THAT(items[0].choices, ElementsAre(", he stops. Now.", "he goes on."));
  EXPECT_EQ(items[0].answer, 1);
  EXPECT_EQ(items[0].group, "car");
  EXPECT_EQ(items[1].question, "Question: What melts?\nAnswer:");
  EXPECT_THAT(items[1].choices, ElementsAre("ice", "rock"));
  EXPECT_EQ(items[1].answer, 0);
  EXPECT_EQ(items[1].group, "");
  EXPECT_EQ(items[1].line, 3);
  EXPECT_EQ(items[2].answer, 2);
  EXPECT_EQ(parse_choices(kHellaSwag, "q", "split")[0].group, "val");
}

TEST(Choices, DefectsAreNamedByLine) {
  const auto refused = [](const std::string& row, const std::vector<std::string>& parts, const char* key = "group") {
    std::vector<std::string> all = parts;
    all.push_back("q.jsonl:2");
    expect_error(ErrorKind::kBadFile, all, [&] { parse_choices(std::string(kArc) + "\n" + row, "q.jsonl", key); });
  };
  refused("{", {"JSON"});
  refused("{\"text\": \"x\"}", {"HellaSwag", "ARC"});
  refused(R"({"ctx": "a", "endings": ["x", "y"], "label": 2})", {"label 2", "0 to 1"});
  refused(R"({"ctx": "a", "endings": ["x", "y"], "label": ""})", {"label \"\""});
  refused(R"({"ctx": "a", "endings": ["x", 1], "label": 0})", {"endings"});
  refused(R"({"ctx": "a", "endings": ["x"], "label": 0})", {"1 answers"});
  refused(R"({"ctx": "a", "endings": ["x", ""], "label": 0})", {"empty"});
  refused(R"({"question": "a", "choices": {"text": ["x", "y"], "label": ["A", "B"]}, "answerKey": "C"})", {"\"C\""});
  refused(R"({"question": "a", "choices": {"text": ["x", "y"], "label": ["A"]}, "answerKey": "A"})", {"\"A\""});
  expect_error(ErrorKind::kBadFile, {"q.jsonl:1", "\"topic\""}, [] { parse_choices(kArc, "q.jsonl", "topic"); });
  expect_error(ErrorKind::kBadFile, {"no questions"}, [] { parse_choices("\n", "q.jsonl"); });
}

TEST(ChoiceTexts, OnlyTheAnswerIsScored) {
  const auto items = parse_choices(std::string(kArc) + "\n" + kArcOfHuggingFace, "q.jsonl");
  for (const bool bos : {false, true}) {
    const Tokenizer gpt2 = choice_tokenizer("gpt2", bos);
    const ScoredTexts texts = choice_texts(gpt2, "arc", items);
    ASSERT_EQ(texts.data.windows.size(), 5u);
    ASSERT_EQ(texts.text.size(), 5u);
    EXPECT_EQ(texts.text[4].item, 1);
    EXPECT_EQ(texts.text[4].choice, 2);
    EXPECT_EQ(texts.text[4].bytes, 4);
    const TokenWindow& window = texts.data.windows[4];
    const std::vector<int32_t> scored(window.tokens.begin() + window.first_row + 1, window.tokens.end());
    EXPECT_EQ(gpt2.decode(scored), " wood");
    EXPECT_EQ(static_cast<int64_t>(scored.size()), window.scored());
    EXPECT_EQ(gpt2.decode(window.tokens).ends_with("Question: What burns?\nAnswer: wood"), true);
    EXPECT_TRUE(!bos || window.tokens[0] == 0);
  }
}

TEST(ChoiceTexts, SolvedQuestionsStandInFront) {
  const Tokenizer gpt2 = choice_tokenizer("gpt2");
  const auto items = parse_choices(std::string(kArc) + "\n" + kArcOfHuggingFace, "q.jsonl");
  const ScoredTexts texts = choice_texts(gpt2, "arc", items, {.shots = 1});
  EXPECT_EQ(gpt2.decode(texts.data.windows[0].tokens),
            "Question: What burns?\nAnswer: wood\n\nQuestion: What melts?\nAnswer: ice");
  EXPECT_EQ(gpt2.decode(texts.data.windows[2].tokens),
            "Question: What melts?\nAnswer: ice\n\nQuestion: What burns?\nAnswer: water");
  EXPECT_NE(texts.data.hash, choice_texts(gpt2, "arc", items).data.hash);
  expect_error(ErrorKind::kInvalidArgument, {"2 solved questions", "0 to 1"},
               [&] { choice_texts(gpt2, "arc", items, {.shots = 2}); });
}

TEST(ChoiceTexts, TheFrontIsCutAndTheAnswerStays) {
  const Tokenizer gpt2 = choice_tokenizer("gpt2", true);
  const auto items = parse_choices(std::string(kArc) + "\n" + kArcOfHuggingFace, "q.jsonl");
  const ScoredTexts whole = choice_texts(gpt2, "arc", items), cut = choice_texts(gpt2, "arc", items, {.context = 12});
  for (size_t w = 0; w < whole.text.size(); ++w) {
    const TokenWindow &a = whole.data.windows[w], &b = cut.data.windows[w];
    EXPECT_EQ(b.tokens.size(), 12u);
    EXPECT_EQ(b.tokens[0], 0);
    EXPECT_EQ(a.scored(), b.scored());
    EXPECT_TRUE(std::equal(a.tokens.end() - 11, a.tokens.end(), b.tokens.begin() + 1));
  }
  expect_error(ErrorKind::kInvalidArgument, {"line 1", "answer 0", "context of 2"},
               [&] { choice_texts(gpt2, "arc", items, {.context = 2}); });
}

// Worked by hand: lengths turn the answer of the second question.
TEST(ChoiceAnswers, ByLikelihoodAndPerByte) {
  const auto items = parse_choices(std::string(kArc) + "\n" + kArcOfHuggingFace, "q.jsonl");
  const ScoredTexts texts = choice_texts(choice_tokenizer("gpt2"), "arc", items);
  const auto answers = choice_answers(items, texts, std::vector<double>{-2, -3, -5, -4.5, -4.6});
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_TRUE(answers[0].correct && answers[0].normalized == 0);  // -2/3 against -3/4
  EXPECT_NEAR(answers[0].loss_nats, std::log1p(std::exp(-1.0)), 1e-12);
  EXPECT_EQ(answers[1].likeliest, 1);
  EXPECT_EQ(answers[1].normalized, 0);  // -5/5 against -4.5/4 and -4.6/4
  EXPECT_FALSE(answers[1].correct || answers[1].normalized_correct);
  expect_error(ErrorKind::kInvalidArgument, {"1 log-likelihoods", "5 windows"},
               [&] { choice_answers(items, texts, std::vector<double>{-2}); });
}

TEST(SentencePairs, CrowsPairs) {
  const auto pairs = parse_sentence_pairs(
      ",sent_more,sent_less,stereo_antistereo,bias_type\n0,\"Women, they say, cry.\",\"Men, they say, "
      "cry.\",stereo,gender\n"
      "1,He is rich.,She is rich.,antistereo,gender\n",
      "c.csv");
  ASSERT_EQ(pairs.size(), 2u);
  EXPECT_EQ(pairs[0].more, "Women, they say, cry.");
  EXPECT_TRUE(pairs[0].stereotype && !pairs[1].stereotype);
  EXPECT_EQ(pairs[1].group, "gender");
  const Tokenizer gpt2 = choice_tokenizer("gpt2", true);
  const ScoredTexts texts = pair_texts(gpt2, "crows", pairs);
  ASSERT_EQ(texts.data.windows.size(), 4u);
  EXPECT_EQ(
      gpt2.decode(std::vector<int32_t>(texts.data.windows[3].tokens.begin() + 1, texts.data.windows[3].tokens.end())),
      "She is rich.");
  EXPECT_EQ(texts.data.windows[3].first_row, 0);
  EXPECT_EQ(texts.data.clusters[1].group, "gender");
  EXPECT_THAT(pair_preferences(pairs, texts, std::vector<double>{-4, -5, -3, -1}), ElementsAre(1, -2));
}

TEST(SentencePairs, DefectsAreNamedByLine) {
  const std::string header = "sent_more,sent_less,bias_type,stereo_antistereo\n";
  const auto refused = [](const std::string& text, const std::vector<std::string>& parts) {
    expect_error(ErrorKind::kBadFile, parts, [&] { parse_sentence_pairs(text, "c.csv"); });
  };
  refused("sent_more,sent_less\na,b\n", {"c.csv", "bias_type"});
  refused(header + "a,,x,stereo\n", {"c.csv:2", "sent_less is empty"});
  refused(header + "a,b,x,stereo\na,a,x,stereo\n", {"c.csv:3", "both sentences"});
  refused(header + "a,b,x,yes\n", {"c.csv:2", "\"yes\""});
  refused(header, {"no pairs"});
}

}  // namespace
}  // namespace vernier
