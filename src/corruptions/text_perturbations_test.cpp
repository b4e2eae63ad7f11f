#include "vernier/text_perturbations.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/utf8.h"
#include "support/expect_error.h"

namespace vernier {
namespace {

std::string long_text() {
  std::string text;
  for (int i = 0; i < 400; ++i) text += "Some plain words, caf\u00e9 and 42 more. ";
  return text;
}

std::string lower(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c |= 0x20;
  return text;
}

TEST(TextPerturbations, ChangeTheirShareOfPlaces) {
  const std::string text = long_text();
  const auto letters = static_cast<double>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }));
  const std::string shouted = perturb_text(text, find_text_perturbation("case"), 4, 1);
  ASSERT_EQ(shouted.size(), text.size());
  EXPECT_EQ(lower(shouted), lower(text)) << "only the case";
  double changed = 0;
  for (size_t i = 0; i < text.size(); ++i) changed += shouted[i] != text[i];
  EXPECT_NEAR(changed / letters, 0.2, 0.02);
  const auto without = [](std::string s, char c) {
    s.erase(std::remove(s.begin(), s.end(), c), s.end());
    return s;
  };
  const std::string spaced = perturb_text(text, find_text_perturbation("whitespace"), 5, 1);
  EXPECT_EQ(without(without(spaced, ' '), '\t'), without(text, ' ')) << "only blanks";
}

TEST(TextPerturbations, StayUtf8AndFollowTheSeed) {
  for (const TextPerturbation& row : text_perturbations())
    for (int severity = 1; severity <= 5; ++severity) {
      const std::string found = perturb_text(long_text(), row, severity, 3);
      EXPECT_EQ(valid_utf8_prefix(found), found.size()) << row.key;
      EXPECT_EQ(found, perturb_text(long_text(), row, severity, 3));
      EXPECT_NE(found, perturb_text(long_text(), row, severity, 4));
      EXPECT_NE(found, long_text());
    }
}

TEST(TextPerturbations, WhatCannotBe) {
  expect_error(ErrorKind::kInvalidArgument, {"accents", "typos"}, [] { find_text_perturbation("accents"); });
  expect_error(ErrorKind::kInvalidArgument, {"severity 0"},
               [] { perturb_text("a", find_text_perturbation("case"), 0, 1); });
}

}  // namespace
}  // namespace vernier
