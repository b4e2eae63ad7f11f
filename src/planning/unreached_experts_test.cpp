#include "planning/unreached_experts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vernier {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

DamageTable experts(const std::vector<double>& of_each) {
  DamageTable table;
  table.groups = {{"a", 10, {}}, {"b", 10, {}}};
  for (size_t e = 0; e < of_each.size(); ++e) {
    const TensorId id{TensorRole::kFfnUp, 2, static_cast<int>(e)};
    table.kl[id] = {{"gguf:q2_k", of_each[e]}, {"gguf:q8_0", of_each[e] / 1000}, {"f32", 0}};
    table.groups[0].kl[id] = table.kl[id];
    table.groups[1].kl[id] = {{"gguf:q2_k", 0}, {"gguf:q8_0", 0}, {"f32", 0}};
  }
  table.kl[{TensorRole::kFfnUp, 3}] = {{"gguf:q2_k", 0.0}};  // of no expert: what was stored so hurts nobody
  return table;
}

TEST(UnreachedExperts, AreTakenForTheLeastOfTheirLayer) {
  DamageTable table = experts({0.3, 0, 0.1, 0, 0.2, 0, 0});
  fill_in_unreached(table);
  const TensorId second{TensorRole::kFfnUp, 2, 1}, third{TensorRole::kFfnUp, 2, 2};
  EXPECT_EQ(table.kl.at(second), table.kl.at(third));
  EXPECT_EQ(table.kl.at(second).at("f32"), 0);
  EXPECT_EQ(table.groups[0].kl.at(second), table.groups[0].kl.at(third));
  EXPECT_EQ(table.groups[1].kl.at(second).at("gguf:q2_k"), 0);  // of which nobody knows better
  EXPECT_EQ(table.kl.at({TensorRole::kFfnUp, 3}).at("gguf:q2_k"), 0);
  EXPECT_EQ(table.provenance.at("unreached_experts").dump(),
            R"(["L2.expert1","L2.expert3","L2.expert5","L2.expert6"])");
  EXPECT_THAT(unreached_note(table), HasSubstr("L2.expert1, L2.expert3, L2.expert5 and 1 more"));
}

TEST(UnreachedExperts, NothingIsSaidWhereAllWereReachedOrNone) {
  for (const std::vector<double>& each : {std::vector<double>{0.1, 0.2}, {0.0, 0.0}}) {
    DamageTable table = experts(each);
    const DamageTable before = table;
    fill_in_unreached(table);
    EXPECT_EQ(table.kl, before.kl);
    EXPECT_THAT(unreached_note(table), IsEmpty());
  }
}

}  // namespace
}  // namespace vernier
