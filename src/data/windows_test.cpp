#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "data/builtin_texts.h"
#include "data/tokenized_text.h"
#include "support/expect_error.h"
#include "vernier/data.h"

namespace vernier {
namespace {

Tokenizer tokenizer(const char* kind) {
  return Tokenizer(
      load_tokenizer_model(std::filesystem::path(VERNIER_SOURCE_DIR) / "tests/fixtures/tokenizers" / kind));
}

std::string text_of(int lines) {
  std::string text;
  for (int i = 0; i < lines; ++i)
    text += "def f" + std::to_string(i) + "(x): return x ** " + std::to_string(i * i) + "\n";
  return text;
}

// llama3's post-processor adds BOS: the text starts with it, and it replaces the first token of every window.
TEST(TextWindows, BosReplacesTheFirstToken) {
  const Tokenizer llama3 = tokenizer("llama3");
  const Tokenizer with_bos([&] {
    TokenizerModel model = llama3.model();
    model.bos_id = 0;
    return model;
  }());
  const std::string text = text_of(40);
  const auto ids = with_bos.encode(text, {.add_special = false, .parse_special = false});
  const EvaluationData data = text_windows(with_bos, "t", text, {.context = 32});
  ASSERT_EQ(data.windows.size(), (ids.size() + 1) / 32);
  for (size_t w = 0; w < data.windows.size(); ++w) {
    const TokenWindow& window = data.windows[w];
    ASSERT_EQ(window.tokens.size(), 32u);
    EXPECT_EQ(window.tokens[0], 0);
    for (size_t t = 1; t < 32; ++t) EXPECT_EQ(window.tokens[t], ids[w * 32 + t - 1]);
    EXPECT_EQ(window.first_row, 16);  // logits at 16 .. 30 predict 17 .. 31
    EXPECT_EQ(window.scored(), 15);
  }
}

TEST(TextWindows, OneTokenizationServesAllChoices) {
  const Tokenizer bpe = tokenizer("llama3");
  const TokenizedText tokens = tokenize_text(bpe, "t", text_of(40));
  for (const WindowOptions& options :
       {WindowOptions{.context = 32}, {.context = 16, .max_windows = 5, .score_all = true, .spread = true}}) {
    const EvaluationData once = windows_of(tokens, options), again = text_windows(bpe, "t", text_of(40), options);
    EXPECT_EQ(once.hash, again.hash);
    EXPECT_EQ(once.name, again.name);
    EXPECT_EQ(once.windows.size(), again.windows.size());
    EXPECT_EQ(once.scored_tokens(), again.scored_tokens());
  }
}

TEST(TextWindows, OfJoinedTextsEachKnowsWhereItBegins) {
  const Tokenizer bpe = tokenizer("llama3");
  const std::string a = text_of(20), b = "Once upon a time there was a text of another kind. " + text_of(30);
  const TokenizedText joined = tokenize_joined(bpe, "t", {a, b}), one = tokenize_text(bpe, "t", a + b);
  EXPECT_EQ(joined.ids, one.ids);
  EXPECT_TRUE(one.ends.empty());
  const EvaluationData data = windows_of(joined, {.context = 16, .score_all = true});
  EXPECT_EQ(data.hash, windows_of(one, {.context = 16, .score_all = true}).hash);
  const size_t end = bpe.encode(a, {.add_special = false, .parse_special = false}).size() + (joined.bos ? 1 : 0);
  for (size_t w = 0; w < data.windows.size(); ++w) {
    EXPECT_EQ(data.clusters[w].part, w * 16 < end ? 0 : 1);
    EXPECT_EQ(windows_of(one, {.context = 16}).clusters[w].part, 0);
  }
}

// Qwen's vocabulary adds none: the first token of each window stays, and nothing is put in front.
TEST(TextWindows, WithoutBosTheFirstTokenStays) {
  const Tokenizer qwen = tokenizer("qwen2");
  ASSERT_FALSE(qwen.adds_bos());
  const std::string text = text_of(40);
  const auto ids = qwen.encode(text, {.add_special = false, .parse_special = false});
  const EvaluationData data = text_windows(qwen, "t", text, {.context = 32, .max_windows = 3});
  ASSERT_EQ(data.windows.size(), 3u);
  for (size_t w = 0; w < 3; ++w)
    for (size_t t = 0; t < 32; ++t) EXPECT_EQ(data.windows[w].tokens[t], ids[w * 32 + t]);
  EXPECT_EQ(data.windows[0].scored(), 15);
}

TEST(TextWindows, SpreadWindowsCoverTheText) {
  const Tokenizer qwen = tokenizer("qwen2");
  const std::string text = text_of(80);
  const EvaluationData all = text_windows(qwen, "t", text, {.context = 16});
  const EvaluationData some = text_windows(qwen, "t", text, {.context = 16, .max_windows = 4, .spread = true});
  ASSERT_EQ(some.windows.size(), 4u);
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(some.windows[i].tokens, all.windows[i * all.windows.size() / 4].tokens);
}

TEST(TextWindows, SpecialTokensInTheTextAreText) {
  const Tokenizer qwen = tokenizer("qwen2");
  const EvaluationData data = text_windows(qwen, "t", text_of(10) + "<|endoftext|>" + text_of(10), {.context = 16});
  ASSERT_FALSE(data.windows.empty());
  for (const TokenWindow& window : data.windows) {
    EXPECT_EQ(window.tokens.size(), 16u);
    for (const int32_t token : window.tokens) EXPECT_NE(token, 0);
  }
}

TEST(TextWindows, TooLittleTextSaysWhatToDo) {
  expect_error(ErrorKind::kInvalidArgument, {"note.txt", "--context"},
               [] { text_windows(tokenizer("gpt2"), "note.txt", "short", {.context = 512}); });
}

TEST(DocumentWindows, EveryTokenIsPredictedOnce) {
  const Tokenizer gpt2 = tokenizer("gpt2");
  const std::vector<Document> documents{{text_of(20), "code"}, {"Hello, world!", "en"}};
  const EvaluationData data = document_windows(gpt2, "d", documents, {.context = 16});
  std::vector<int32_t> predicted;
  for (const TokenWindow& w : data.windows)
    if (w.cluster == 0) predicted.insert(predicted.end(), w.tokens.begin() + 1, w.tokens.end());
  const auto ids = gpt2.encode(documents[0].text, {.add_special = false, .parse_special = false});
  EXPECT_EQ(predicted, std::vector<int32_t>(ids.begin() + 1, ids.end()));
  ASSERT_EQ(data.clusters.size(), 2u);
  // No BOS stands in front that would predict the first token.
  const std::string first = gpt2.decode(std::span(ids).first(1));
  EXPECT_EQ(data.clusters[0].bytes, static_cast<int64_t>(documents[0].text.size() - first.size()));
  EXPECT_EQ(data.clusters[1].group, "en");
}

TEST(DocumentWindows, VersionsOfADocumentAreFound) {
  const EvaluationData data = document_windows(
      tokenizer("gpt2"), "d",
      {{"One page.", "en", "a"}, {"Another.", "en", "b"}, {"Eine Seite.", "de", "a"}, {"No page.", "en"}},
      {.context = 16});
  std::vector<int64_t> version_of;
  for (const Cluster& cluster : data.clusters) version_of.push_back(cluster.version_of);
  EXPECT_THAT(version_of, ::testing::ElementsAre(0, 1, 0, -1));
}

// Copies count in means but say nothing new: standard errors must find them.
TEST(Duplicates, OfDocumentsAreFoundPerGroup) {
  const std::string other = "Another text.", text = "Hello, world!";
  const EvaluationData data = document_windows(
      tokenizer("gpt2"), "d",
      {{text, "en"}, {other, "en"}, {text, "de"}, {text, "en"}, {other, "en"}, {text_of(20), "code"}}, {.context = 16});
  std::vector<int64_t> same_as;
  for (const Cluster& cluster : data.clusters) same_as.push_back(cluster.same_as);
  EXPECT_THAT(same_as, ::testing::ElementsAre(-1, -1, 0, 0, 1, -1));
  EXPECT_EQ(data.duplicates(), 3);
  EXPECT_THAT(data.duplicates_by_group(), ::testing::ElementsAre(::testing::Pair("en", 2)))
      << "the only copy in de is the first of its group";
  EXPECT_GE(data.windows.size(), data.clusters.size());
  for (const TokenWindow& window : data.windows)
    EXPECT_EQ(data.distinct_cluster(window), same_as[static_cast<size_t>(window.cluster)] < 0
                                                 ? window.cluster
                                                 : same_as[static_cast<size_t>(window.cluster)]);
}

TEST(Duplicates, OfWindowsAreFound) {
  std::string text;
  for (int i = 0; i < 64; ++i) text += " the";  // a token each, so that every window is the same
  const EvaluationData same = text_windows(tokenizer("gpt2"), "t", text, {.context = 16});
  ASSERT_EQ(same.windows.size(), 4u);
  EXPECT_EQ(same.duplicates(), 3);
  EXPECT_TRUE(same.duplicates_by_group().empty());
  EXPECT_EQ(same.distinct_cluster(same.windows[3]), 0);
  EXPECT_EQ(text_windows(tokenizer("gpt2"), "t", text_of(60), {.context = 16}).duplicates(), 0);
}

TEST(SharedTokenRuns, FindsCopiesOnly) {
  const Tokenizer gpt2 = tokenizer("gpt2");
  const auto windows = [&](const std::string& text) { return text_windows(gpt2, "t", text, {.context = 64}); };
  const EvaluationData a = windows(text_of(60));
  EXPECT_GT(shared_token_runs(a, a), 0);
  EXPECT_EQ(shared_token_runs(a, windows(std::string(builtin_evaluation_text()))), 0);
  // Windows and documents shorter than a run are found whole.
  const EvaluationData small = text_windows(gpt2, "t", text_of(60), {.context = 32});
  EXPECT_GT(shared_token_runs(small, small), 0);
  const std::string sentence =
      "A sentence of some length that stands in the calibration text and in a group as well, once.";
  const EvaluationData documents = document_windows(gpt2, "d", {{sentence, "en"}, {"Short.", "en"}}, {.context = 64});
  const EvaluationData quoted = document_windows(gpt2, "d", {{"It says: " + sentence, "en"}}, {.context = 64});
  EXPECT_GT(shared_token_runs(documents, quoted), 0);
  EXPECT_EQ(shared_token_runs(documents, a), 0);
}

TEST(BuiltinTexts, CalibrationAndEvaluationDoNotOverlap) {
  const Tokenizer gpt2 = tokenizer("gpt2");
  const auto windows = [&](std::string_view text) {
    return text_windows(gpt2, "t", std::string(text), {.context = 512});
  };
  std::string calibrated;
  for (const BuiltinText& text : builtin_calibration_texts()) calibrated.append(text.text);
  const EvaluationData calibration = windows(calibrated);
  const EvaluationData groups = document_windows(gpt2, "g", parse_documents(builtin_groups_text(), "g"), {});
  // Licence headers and boilerplate repeat between files of one origin; whole passages must not.
  EXPECT_LT(shared_token_runs(windows(builtin_evaluation_text()), calibration), 20);
  EXPECT_LT(shared_token_runs(groups, calibration), 20);
}

}  // namespace
}  // namespace vernier
