#include "data/text_kind.h"

#include <gtest/gtest.h>

#include "base/output_file.h"
#include "support/expect_error.h"
#include "support/scratch.h"

namespace vernier {
namespace {

class TextKinds : public ::testing::Test {
 protected:
  std::filesystem::path file_ = scratch_path("vernier_text_kind");
  void TearDown() override { std::filesystem::remove(file_); }
  TextKind kind(const std::string& text) {
    write_file(file_, text);
    return kind_of_text(file_.string());
  }
};

TEST_F(TextKinds, TheFirstLineTells) {
  EXPECT_EQ(kind("\xEF\xBB\xBF\r\n{\"group\": \"x\", \"text\": \"a\"}\r\nanything"), TextKind::kDocuments);
  EXPECT_EQ(kind("{\"ctx\": \"a\", \"endings\": [], \"label\": 0}\n"), TextKind::kChoices);
  EXPECT_EQ(kind("{\"question\": {}, \"answerKey\": \"A\"}"), TextKind::kChoices);
  EXPECT_EQ(kind(",sent_more,sent_less,stereo_antistereo,bias_type\n"), TextKind::kPairs);
  EXPECT_EQ(kind("A text\n{\"text\": 1}\n"), TextKind::kRunning);
  EXPECT_EQ(kind("{\n  \"text\": 1}\n"), TextKind::kRunning) << "JSON over several lines is a text like any other";
}

TEST_F(TextKinds, WhatNothingReadsIsNamed) {
  expect_error(ErrorKind::kBadFile, {file_.string(), "\"text\"", "HellaSwag", "ARC"},
               [&] { kind("{\"prompt\": \"a\"}\n"); });
  expect_error(ErrorKind::kBadFile, {"nothing but blanks"}, [&] { kind(" \n\n"); });
  expect_error(ErrorKind::kBadFile, {"UTF-16"}, [&] { kind("\xFF\xFE{"); });
  expect_error(ErrorKind::kIo, {"absent.jsonl"}, [] { kind_of_text("absent.jsonl"); });
}

}  // namespace
}  // namespace vernier
