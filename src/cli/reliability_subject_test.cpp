#include "cli/reliability_subject.h"

#include <gtest/gtest.h>

#include "support/expect_error.h"

namespace vernier {
namespace {

TEST(SubjectSpelling, SchemeActivationsAndTower) {
  const SubjectSpelling all = parse_subject("int4:channel:sym+int8:token@image");
  EXPECT_EQ(all.name, "int4:channel:sym+int8:token@image");
  EXPECT_EQ(all.scheme, "int4:channel:sym");
  EXPECT_EQ(all.activations->name(), "int8:token:sym7");
  EXPECT_EQ(all.tower, Stack::kImage);
  const SubjectSpelling weights = parse_subject("gguf:q4_k");
  EXPECT_EQ(weights.scheme, "gguf:q4_k");
  EXPECT_FALSE(weights.activations || weights.tower);
  const SubjectSpelling inputs = parse_subject("+int8:token@text");
  EXPECT_EQ(inputs.scheme, "");
  EXPECT_EQ(inputs.activations->bits(), 8);
  EXPECT_EQ(inputs.tower, Stack::kText);
}

TEST(SubjectSpelling, Refuses) {
  expect_error(ErrorKind::kInvalidArgument, {"@image or @text"}, [] { parse_subject("int4:channel:sym@nose"); });
  expect_error(ErrorKind::kInvalidArgument, {"expected a scheme"}, [] { parse_subject("@image"); });
  expect_error(ErrorKind::kInvalidArgument, {"activations"}, [] { parse_subject("int4:channel:sym+loud"); });
}

}  // namespace
}  // namespace vernier
