#include "planning/choices.h"

#include <gtest/gtest.h>

#include "support/models.h"

namespace vernier {
namespace {

DamageTable made_up_damage(const Model& model) {
  DamageTable table;
  table.model_hash = model_hash(model);
  double damage = 0.01;
  for (const TensorId& id : model.matrices()) {
    damage *= 1.1;
    table.kl[id] = {{"gguf:q8_0", damage / 100}, {"gguf:q4_0", damage}};
  }
  return table;
}

TEST(Choices, ExpertsThatTheFileStacksAreOne) {
  const Model model = load_model((source_dir() / "tests/fixtures/models/mixtral").string());
  const DamageTable table = made_up_damage(model);
  const std::vector<Choice> choices = choices_of(model, table, {});
  const int64_t experts = model.config().layers[0].feed_forward.experts.count;
  ASSERT_GT(experts, 1);
  size_t matrices = 0;
  for (const Choice& choice : choices) {
    const TensorId& first = choice.tensors.front();
    matrices += choice.tensors.size();
    EXPECT_EQ(static_cast<int64_t>(choice.tensors.size()), first.expert >= 0 ? experts : 1) << name_of(first);
    if (first.role == TensorRole::kRouter) {
      EXPECT_EQ(choice.offers.size(), 1u) << "llama.cpp wants it in f32";
    }
    for (const ChoiceOffer& offer : choice.offers) {
      ASSERT_EQ(offer.kl.size(), choice.tensors.size());
      if (!table.kl.at(first).contains(offer.scheme)) continue;  // as it is stored
      for (size_t i = 0; i < choice.tensors.size(); ++i)
        EXPECT_EQ(offer.kl[i], first.role == TensorRole::kRouter ? 0 : table.kl.at(choice.tensors[i]).at(offer.scheme));
    }
  }
  EXPECT_EQ(matrices, model.matrices().size());
  // A directory of values ties nothing.
  EXPECT_EQ(choices_of(model, table, {.target = "huggingface"}).size(), matrices);
}

}  // namespace
}  // namespace vernier
