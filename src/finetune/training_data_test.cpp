// What is learned from and what is held out: how examples are cut, joined, drawn and kept apart.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <set>

#include "finetune/batch_forward.h"
#include "finetune/resampled_text.h"
#include "support/expect_error.h"
#include "support/training_data.h"
#include "support/vision_models.h"
#include "vernier/finetune.h"

namespace vernier {
namespace {

TEST(TrainingData, ShowsWhatWasLearnedAndIsMeasured) {
  EXPECT_EQ(shared_examples(made_up_training(8, 100), made_up_training(16)), 0);
  EXPECT_GT(shared_examples(made_up_training(8, 4), made_up_training(16)), 0);
  const Model model = load_model(vision_fixture("vit").string());
  TrainingData images = made_up_images(model, 6), others = images;
  for (std::string& hash : others.image_hashes) hash += " other";
  EXPECT_EQ(shared_examples(others, images), 0);
  others.image_hashes[2] = images.image_hashes[4];
  EXPECT_EQ(shared_examples(others, images), 1);
}

TEST(TrainingData, WhatIsHeldOutCanBeLeftOut) {
  const Tokenizer tokenizer(load_tokenizer_of(std::filesystem::path(VERNIER_SOURCE_DIR) / "models/demo-5m"));
  std::string shared = "It says:", own;
  for (int i = 0; i < 40; ++i) shared += fmt::format(" the {}th word of it,", i);
  for (int i = 0; i < 60; ++i) own += fmt::format(" quite another {} text,", i);
  const TrainingData held_out = held_out_text(document_windows(tokenizer, "h", {{shared, "a"}}, {.context = 128}));
  const std::vector<EncodedDocument> documents =
      encoded_documents(tokenizer, {{own, "a"}, {"First, " + shared, "b"}, {own + own, "b"}}, 2);
  const std::vector<EncodedDocument> apart = documents_apart(documents, held_out);
  ASSERT_EQ(apart.size(), 2U);
  EXPECT_EQ(tokenizer.decode(apart[1].ids), own + own);
  EXPECT_GT(shared_examples(held_out, training_text(tokenizer, "t", documents, 128)), 0);
  EXPECT_EQ(shared_examples(held_out, training_text(tokenizer, "t", apart, 128)), 0);

  const Model model = load_model(vision_fixture("vit").string());
  const TrainingData images = made_up_images(model, 6);
  TrainingData some = made_up_images(model, 2);
  EXPECT_EQ(images_apart(images, some).image_hashes,
            (std::vector<std::string>(images.image_hashes.begin() + 2, images.image_hashes.end())));
  expect_error(ErrorKind::kInvalidArgument, {"every image"}, [&] { images_apart(some, images); });
}

TEST(TrainingData, TextIsLearnedFromInThePiecesInWhichItIsMeasured) {
  const Tokenizer tokenizer(load_tokenizer_of(std::filesystem::path(VERNIER_SOURCE_DIR) / "models/demo-5m"));
  ASSERT_TRUE(tokenizer.adds_bos());
  std::vector<Document> documents;
  for (int d = 0; d < 9; ++d) {
    std::string& text = documents.emplace_back(Document{.text = "", .group = d % 3 == 0 ? "a" : "b"}).text;
    for (int i = 0; i < 5 + 11 * d; ++i) text += fmt::format(" the {}th word of {},", i, d);
  }
  const EvaluationData measured = document_windows(tokenizer, "t", documents, {.context = 128});
  const TrainingData learned = training_text(tokenizer, "t", encoded_documents(tokenizer, documents), 128);
  std::multiset<std::vector<int32_t>> expected, pieces;
  for (const TokenWindow& window : measured.windows) expected.insert(window.tokens);
  ASSERT_EQ(learned.piece_starts.size(), learned.windows.size());
  for (size_t w = 0; w < learned.windows.size(); ++w) {
    const TokenWindow& window = learned.windows[w];
    EXPECT_LE(window.tokens.size(), 128U);
    std::vector<int32_t> starts;
    for (size_t t = 1; t < window.tokens.size(); ++t)
      if (window.tokens[t] == *tokenizer.bos_id()) starts.push_back(static_cast<int32_t>(t));
    EXPECT_EQ(learned.piece_starts[w], starts);
    EXPECT_EQ(window.tokens.front(), *tokenizer.bos_id());
    for (auto begin = window.tokens.begin(); begin != window.tokens.end();) {
      const auto end = std::find(begin + 1, window.tokens.end(), *tokenizer.bos_id());
      pieces.emplace(begin, end);
      begin = end;
    }
  }
  EXPECT_TRUE(std::ranges::includes(expected, pieces));
  std::vector<std::vector<int32_t>> left_out;
  std::ranges::set_difference(expected, pieces, std::back_inserter(left_out));
  for (const std::vector<int32_t>& piece : left_out) EXPECT_LT(piece.size(), 32U) << "of a window that is hardly full";
  EXPECT_LE(left_out.size(), 2U) << "one of each group";
  EXPECT_LT(learned.windows.size(), measured.windows.size());
  EXPECT_EQ(learned.groups, (std::vector<std::string>{"a", "b"}));
}

TEST(TrainingData, AWindowThatIsHardlyFullIsOneOnlyWhereThereIsNoOther) {
  const Tokenizer tokenizer(load_tokenizer_of(std::filesystem::path(VERNIER_SOURCE_DIR) / "models/demo-5m"));
  const std::vector<int32_t> full(31, 40), few(5, 41);
  // With BOS one window of 32 and one of 6 tokens; of the other group nothing but 6.
  const TrainingData data = training_text(tokenizer, "t", {{full, "a"}, {few, "a"}, {few, "b"}, {{}, "c"}}, 32);
  ASSERT_EQ(data.windows.size(), 2U);
  EXPECT_EQ(data.windows[0].tokens.size(), 32U);
  EXPECT_EQ(data.windows[1].tokens.size(), 6U);
  EXPECT_EQ(data.groups, (std::vector<std::string>{"a", "b"})) << "of c there is nothing to learn";
}

TEST(TrainingData, BeginningsOfPiecesAreNotDrawnAnew) {
  TrainingData data = training_windows("w", {{{1, 5, 1, 6, 7}, ""}, {{1, 8, 9, 1}, ""}});
  const std::vector<int64_t> both{0, 1};
  const auto drawn = [&] { return redraws_of(data, both, 5, 1.0, 3, 0).drawn.to(at::kInt).sum().item<int64_t>(); };
  EXPECT_EQ(drawn(), 8);
  data.piece_starts = {{2}, {3}};
  EXPECT_EQ(drawn(), 6);
  EXPECT_FALSE(redraws_of(data, both, 5, 1.0, 3, 0).drawn[0][2].item<bool>());
}

TEST(TrainingData, BeginningsOfPiecesAreNotToBeForetold) {
  TrainingData data = training_windows("w", {{{1, 5, 1, 6, 7}, ""}, {{2, 8, 9, 3}, ""}});
  data.piece_starts = {{2}, {1, 3}};
  const auto labels = [](const TrainingData& of) {
    return batch_of(of, std::vector<int64_t>{0, 1}, at::Device(at::kCPU)).labels;
  };
  EXPECT_TRUE(at::equal(labels(data), at::tensor({5, -1, 6, 7, -1, 9, -1, -1}, at::kLong).view({2, 4})));
  const Model model = fixture_model("llama");
  check_trainable(model, data);
  for (const std::vector<std::vector<int32_t>>& starts :
       {std::vector<std::vector<int32_t>>{{2}}, {{0}, {}}, {{5}, {}}, {{}, {-1}}}) {
    TrainingData wrong = data;
    wrong.piece_starts = starts;
    expect_error(ErrorKind::kInvalidArgument, {"outside"}, [&] { check_trainable(model, wrong); });
  }
  const TrainingData other = training_windows("o", {{{4, 4, 4}, ""}});
  const TrainingData both = joined_training_data(other, data);
  EXPECT_EQ(both.piece_starts, (std::vector<std::vector<int32_t>>{{}, {2}, {1, 3}}));
  EXPECT_NE(both.hash,
            joined_training_data(other, training_windows("w", {{{1, 5, 1, 6, 7}, ""}, {{2, 8, 9, 3}, ""}})).hash);
  const TrainingData one = split_training_data(both, 0.3, 1).second;
  ASSERT_EQ(one.windows.size(), 1U);
  const auto which =
      std::ranges::find(both.windows, one.windows[0].tokens, &TokenWindow::tokens) - both.windows.begin();
  EXPECT_EQ(one.piece_starts, (std::vector<std::vector<int32_t>>{both.piece_starts[static_cast<size_t>(which)]}));
}

TEST(TrainingData, WindowsStayAsTheyAre) {
  const TrainingData data = training_windows("w", {{{1, 5, 6}, "a"}, {{7}, "b"}, {{1, 8}, "a"}});
  ASSERT_EQ(data.windows.size(), 2U);  // one token predicts nothing
  EXPECT_EQ(data.windows[0].tokens, (std::vector<int32_t>{1, 5, 6}));
  EXPECT_EQ(data.windows[1].tokens, (std::vector<int32_t>{1, 8}));
  EXPECT_EQ(data.group, (std::vector<int32_t>{0, 0}));
  EXPECT_EQ(data.groups, (std::vector<std::string>{"a"}));
  expect_error(ErrorKind::kInvalidArgument, {"no window"}, [] { training_windows("w", {{{7}, "b"}}); });
}

TEST(TrainingData, ExamplesAreDrawnAsASamplingSays) {
  const TrainingData all = made_up_training(80);
  std::vector<int> counts(3, 0);
  for (const int32_t group : drawn_examples(all, "balanced", 300, 2).group) ++counts[static_cast<size_t>(group)];
  for (const int count : counts) EXPECT_NEAR(count, 100, 45);  // five standard deviations
  const TrainingData shuffled = drawn_examples(all, "uniform", 80, 2);
  EXPECT_NE(shuffled.hash, all.hash);
  EXPECT_EQ(shuffled.windows.size(), 80U);
  EXPECT_EQ(shared_examples(shuffled, all), shared_examples(all, all));
}

TEST(TrainingData, APartOfEveryGroupIsKeptApart) {
  const TrainingData all = made_up_training(80);
  const auto [learned, validation] = split_training_data(all, 0.1, 3);
  EXPECT_EQ(learned.size() + validation.size(), 80);
  std::vector<int> counts(3, 0);
  for (const int32_t group : validation.group) ++counts[static_cast<size_t>(group)];
  EXPECT_EQ(counts, (std::vector<int>{6, 1, 1}));
  EXPECT_EQ(split_training_data(all, 0.1, 3).second.hash, validation.hash);
  EXPECT_NE(split_training_data(all, 0.1, 4).second.hash, validation.hash);
  expect_error(ErrorKind::kInvalidArgument, {"share"}, [&] { split_training_data(all, 1, 3); });
}

TEST(TrainingData, SomeOfEachGroupAreOfAGroupWithTooFewAllAndOfTheOthersAlike) {
  const TrainingData all = made_up_training(80);
  const auto groups_of = [&](int64_t count) {
    std::vector<int64_t> counts(all.groups.size());
    for (const int32_t group : some_of_each_group(all, count).group) ++counts[static_cast<size_t>(group)];
    return counts;
  };
  std::vector<int64_t> whole(all.groups.size());
  for (const int32_t group : all.group) ++whole[static_cast<size_t>(group)];
  EXPECT_EQ(groups_of(all.size() + 1), whole);
  EXPECT_EQ(groups_of(static_cast<int64_t>(whole.size())), std::vector<int64_t>(whole.size(), 1));
  const int64_t least = std::ranges::min(whole), most = std::ranges::max(whole);
  ASSERT_LT(least, most);
  const auto shared = static_cast<int64_t>(whole.size()) * least;
  EXPECT_EQ(groups_of(shared), std::vector<int64_t>(whole.size(), least));
  EXPECT_EQ(std::ranges::min(groups_of(shared + 1)), least);
  expect_error(ErrorKind::kInvalidArgument, {"0 examples"}, [&] { some_of_each_group(all, 0); });
}

TEST(TrainingData, ExamplesOfGroupsAreOfThoseThatAreMeasuredOrElseAll) {
  const TrainingData all = made_up_training(80);
  const std::string first = all.groups[0], last = all.groups.back();
  const TrainingData some = examples_of_groups(all, {last, "never heard of", first});
  std::vector<size_t> kept;
  for (size_t i = 0; i < all.group.size(); ++i)
    if (all.group[i] == 0 || all.group[i] + 1 == static_cast<int32_t>(all.groups.size())) kept.push_back(i);
  ASSERT_EQ(some.size(), static_cast<int64_t>(kept.size()));
  ASSERT_LT(some.size(), all.size());
  for (size_t i = 0; i < kept.size(); ++i) {
    EXPECT_EQ(some.group[i], all.group[kept[i]]);
    EXPECT_EQ(some.windows[i].tokens, all.windows[kept[i]].tokens);
  }
  EXPECT_EQ(examples_of_groups(all, {"never heard of"}).hash, all.hash);
  EXPECT_EQ(examples_of_groups(all, {}).hash, all.hash);
}

}  // namespace
}  // namespace vernier
