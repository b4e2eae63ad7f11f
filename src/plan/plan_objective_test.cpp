#include "vernier/plan_objective.h"

#include <gtest/gtest.h>

#include "support/expect_error.h"

namespace vernier {
namespace {

TEST(PlanObjective, EverySpellingReadsBackAsItself) {
  for (const std::string text : {"mean", "worst-group", "weighted", "weighted:de=2,fr=0.5", "weighted:a=b=1"})
    EXPECT_EQ(PlanObjective::parse(text).text(), text);
  const PlanObjective objective = PlanObjective::parse("weighted:de=2,fr=0.5");
  EXPECT_EQ(objective.kind, PlanObjective::Kind::kWeighted);
  EXPECT_EQ(objective.weights, (std::map<std::string, double>{{"de", 2}, {"fr", 0.5}}));
}

TEST(PlanObjective, WhatCannotBeMeantIsRefusedWithTheSpellings) {
  for (const std::string text :
       {"", "worst", "weighted:", "weighted:de", "weighted:de=", "weighted:=1", "weighted:de=0", "weighted:de=-1",
        "weighted:de=nan", "weighted:de=1x", "weighted:de=inf", "weighted:de=1,", "weighted:de=1,de=2"})
    expect_error(ErrorKind::kInvalidArgument, {"worst-group"}, [&] { PlanObjective::parse(text); });
}

}  // namespace
}  // namespace vernier
