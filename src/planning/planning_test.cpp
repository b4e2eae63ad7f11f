#include "vernier/planning.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <map>

#include "base/json.h"
#include "support/expect_error.h"
#include "support/models.h"
#include "vernier/calibrate.h"
#include "vernier/plan_front.h"
#include "vernier/screen.h"
#include "vernier/value_search.h"

namespace vernier {
namespace {

using ::testing::HasSubstr;

/// demo-5m's weights and tokenizer with a made-up diagnosis: the budget needs real shapes, not real damage.
class Planning : public ::testing::Test {
 protected:
  const std::string path_ = (source_dir() / "models/demo-5m").string();
  const Model model_ = load_model(path_);
  const TokenizerModel tokenizer_ = load_tokenizer_of(path_);
  Diagnosis diagnosis_ = made_up_diagnosis();

  DamageTable table() const { return damage_table(model_, diagnosis_); }

  static bool is_attention(const Component& c) {
    return c.kind == ComponentKind::kTensor && role_name(c.role).starts_with("attn");
  }
  /// Of two groups: one is hurt by attention, the other, with more tokens, by feed-forwards.
  DamageTable grouped_table() const {
    Diagnosis d = diagnosis_;
    d.groups = {{"attentive", 8, 1000}, {"forward", 8, 3000}};
    for (ComponentDamage& c : d.components) {
      const bool attention = is_attention(c.component);
      c.groups["attentive"].kl.mean = c.kl.mean * (attention ? 30 : 0.2);
      c.groups["forward"].kl.mean = c.kl.mean * (attention ? 0.3 : 1.2);
    }
    return damage_table(model_, d);
  }

  static uint64_t file_bytes(const Model& model, const Plan& plan, const TokenizerModel& tokenizer) {
    return find_target("llama.cpp").file_bytes(model, plan, tokenizer, {});
  }

  Diagnosis made_up_diagnosis(const std::string& target = "llama.cpp") const {
    Diagnosis d;
    d.model_hash = model_hash(model_);
    d.scheme = "gguf:q4_k";
    for (const TensorId& id : model_.matrices()) {
      WeightFacts facts;
      facts.tensor = id;
      facts.rows = model_.weight(id).size(0);
      facts.cols = model_.weight(id).size(1);
      facts.scheme = "gguf:q4_k";
      double power = 1;
      facts.error_power["gguf:q4_k"] = 0.01;
      for (const std::string& scheme : planning_diagnosis(target).candidates) facts.error_power[scheme] = power /= 3;
      d.weight_facts.push_back(facts);
      ComponentDamage damage;
      damage.component = component_of(id);
      damage.kl.mean = id.role == TensorRole::kFfnDown ? 0.01 : 0.001;
      d.components.push_back(damage);
    }
    return d;
  }
};

TEST_F(Planning, TheWorstMixHasAsManyBytesAndHurtsMost) {
  const DamageTable damage = grouped_table();
  const Plan planned = plan_within(model_, tokenizer_, damage, "+10%"), worst = plan_worst(model_, damage, planned);
  EXPECT_GE(worst.tensor_bytes, planned.tensor_bytes);
  EXPECT_GT(worst.predicted_kl_nats, 3 * planned.predicted_kl_nats);
  EXPECT_GE(worst.predicted_kl_nats, worst.provenance["random_mixes"]["most_kl_nats"].get<double>());
  EXPECT_GE(worst.provenance["random_mixes"]["least_kl_nats"].get<double>(), planned.lower_bound_kl_nats * (1 - 1e-9));
  int blamed = 0;
  for (const PlanEntry& entry : worst.entries) blamed += entry.reason.empty() ? 0 : 1;
  EXPECT_GT(blamed, 0);
  const auto kl_of = [&](const Plan& plan, size_t group) {
    double sum = 0;
    for (const PlanEntry& entry : plan.entries)
      sum += damage.groups[group].kl.at(parse_tensor(entry.tensor)).at(entry.scheme);
    return sum;
  };
  const auto& groups = worst.provenance["worst_by_group"];
  ASSERT_EQ(groups.size(), 2u);
  for (size_t g = 0; g < 2; ++g) {
    EXPECT_EQ(groups[g]["group"], damage.groups[g].name);
    EXPECT_NEAR(groups[g]["planned_kl_nats"].get<double>(), kl_of(planned, g), 1e-12);
    EXPECT_NEAR(groups[g]["worst_plan_kl_nats"].get<double>(), kl_of(worst, g), 1e-12);
    EXPECT_GE(groups[g]["worst_for_it_kl_nats"].get<double>(),
              groups[g]["worst_plan_kl_nats"].get<double>() * (1 - 1e-9));
  }
  EXPECT_FALSE(plan_worst(model_, table(), plan_within(model_, tokenizer_, table(), "+10%"))
                   .provenance.contains("worst_by_group"));
}

// A screen knows the schemes that it was asked for; a matrix may stay as it is stored nevertheless.
TEST_F(Planning, TheWorstMixMayKeepWhatNobodyMeasured) {
  DamageTable damage = grouped_table();
  const std::string stored = "f32";
  const auto forget = [&](std::map<TensorId, std::map<std::string, double>>& table) {
    for (auto& [id, kl] : table) kl.erase(stored), kl.erase("f16"), kl.erase("bf16");
  };
  forget(damage.kl);
  for (GroupDamageTable& group : damage.groups) forget(group.kl);
  const Plan planned = plan_within(model_, tokenizer_, damage, "+60%");
  const Plan worst = plan_worst(model_, damage, planned);
  EXPECT_TRUE(std::any_of(worst.entries.begin(), worst.entries.end(), [](const PlanEntry& entry) {
    return Scheme::parse(entry.scheme).held_by(Container::kPlainTensors);
  })) << "there is something to test";
  EXPECT_EQ(worst.provenance["worst_by_group"].size(), 2U);
}

TEST_F(Planning, TheWholeFileStaysWithinTheBudgetAndEveryMatrixIsPlanned) {
  const Plan plan = plan_within(model_, tokenizer_, table(), "+10%");
  const uint64_t int4 = budget_bytes(model_, tokenizer_, "+0%");
  EXPECT_NEAR(static_cast<double>(int4),
              static_cast<double>(file_bytes(model_, plan_uniform(model_, "gguf:q4_k"), tokenizer_)), 32)
      << "but for the length of the budget in the header";
  EXPECT_EQ(plan.budget_bytes, int4 * 11 / 10);
  EXPECT_LE(file_bytes(model_, plan, tokenizer_), plan.budget_bytes);
  EXPECT_GT(file_bytes(model_, plan, tokenizer_), plan.budget_bytes * 99 / 100) << "bytes left lying";
  EXPECT_EQ(plan.entries.size(), model_.matrices().size());
}

// llama-quantize's own Q4_K_M of this model has 3,777,248 bytes, and 3,032,288 as IQ3_S.
TEST_F(Planning, LaterLayersCanCountMoreForWhatWillBeTrained) {
  const DamageTable known = table();
  const Plan plain = plan_within(model_, tokenizer_, known, "+10%");
  const Plan later = plan_within(model_, tokenizer_, known, "+10%", {.last_over_first = 8});
  const auto bytes_of = [](const Plan& plan, int64_t layer) {
    uint64_t bytes = 0;
    for (const PlanEntry& e : plan.entries) bytes += e.layer == layer ? e.bytes : 0;
    return bytes;
  };
  EXPECT_LT(bytes_of(later, 0), bytes_of(plain, 0));
  EXPECT_GT(bytes_of(later, 5), bytes_of(plain, 5));
  EXPECT_LE(file_bytes(model_, later, tokenizer_), later.budget_bytes);
  double foretold = 0;  // in nats, whatever they count
  for (const PlanEntry& e : later.entries) {
    EXPECT_NEAR(e.damage, known.kl.at(parse_tensor(e.tensor)).at(e.scheme), 1e-12 * e.damage) << e.tensor;
    foretold += e.damage;
  }
  EXPECT_DOUBLE_EQ(later.predicted_kl_nats, foretold);
  EXPECT_GT(later.predicted_kl_nats, plain.predicted_kl_nats);
  EXPECT_TRUE(std::isnan(later.lower_bound_kl_nats));
  EXPECT_THAT(later.entries.front().reason, ::testing::Not(HasSubstr("count")));  // the embedding
  expect_error(ErrorKind::kInvalidArgument, {"expected a number > 0"},
               [&] { plan_within(model_, tokenizer_, known, "+10%", {.last_over_first = 0}); });
  expect_error(ErrorKind::kInvalidArgument, {"by their mean"}, [&] {
    plan_within(model_, tokenizer_, grouped_table(), "+10%",
                {.objective = PlanObjective::parse("worst-group"), .last_over_first = 2});
  });
}

TEST_F(Planning, PresetsAreLlamaCppsMixes) {
  const Plan q4 = plan_preset(model_, "q4_k_m"), iq3 = plan_preset(model_, "iq3_s");
  EXPECT_EQ(q4.tensor_bytes - iq3.tensor_bytes, 3777248u - 3032288u);
  EXPECT_EQ(q4.label, "llama.cpp's q4_k_m");
  EXPECT_EQ(q4.entries.front().tensor, "embed");
  EXPECT_EQ(q4.entries.front().scheme, "gguf:q6_k");
  expect_error(ErrorKind::kInvalidArgument, {"q4_k_x", "q4_k_m"}, [&] { plan_preset(model_, "q4_k_x"); });
}

TEST_F(Planning, TheLargestPresetThatFitsIsWhatLlamaCppWouldDo) {
  const uint64_t q4_k_m = file_bytes(model_, plan_preset(model_, "q4_k_m"), tokenizer_);
  // The header names the budget, whose digits count too.
  const std::optional<Plan> within = preset_within(model_, tokenizer_, q4_k_m + 64);
  ASSERT_TRUE(within);
  EXPECT_EQ(within->label, "llama.cpp's q4_k_m");
  const std::optional<Plan> below = preset_within(model_, tokenizer_, q4_k_m - 64);
  ASSERT_TRUE(below);
  EXPECT_LT(file_bytes(model_, *below, tokenizer_), q4_k_m);
  for (const std::string& name : preset_names()) {
    const uint64_t bytes = file_bytes(model_, plan_preset(model_, name), tokenizer_);
    if (bytes <= q4_k_m - 128) {
      EXPECT_LE(bytes, file_bytes(model_, *below, tokenizer_)) << name;
    }
  }
  EXPECT_FALSE(preset_within(model_, tokenizer_, 1000));
  EXPECT_FALSE(preset_within(model_, tokenizer_, q4_k_m, {.target = "huggingface"}));
}

// A damage table that foretells codebooks alone: only who asks for them has candidates.
TEST_F(Planning, CodebooksAreCandidatesWhereAskedFor) {
  DamageTable known = table();
  for (auto& [id, kl] : known.kl) kl["gguf:iq3_s"] = 1e-9;
  const auto uses = [](const Plan& plan) {
    return std::ranges::any_of(plan.entries, [](const PlanEntry& entry) { return entry.scheme == "gguf:iq3_s"; });
  };
  EXPECT_FALSE(uses(plan_within(model_, tokenizer_, known, "4bpw")));
  EXPECT_TRUE(uses(plan_within(model_, tokenizer_, known, "4bpw", {.codebooks = true})));
  EXPECT_LT(reachable_budget(model_, tokenizer_, "2.4bpw", {.codebooks = true}), uint64_t{2} << 20);
  EXPECT_THROW(reachable_budget(model_, tokenizer_, "2.4bpw"), Error);
}

TEST_F(Planning, UniformPlansFitAndRise) {
  const uint64_t budget = plan_within(model_, tokenizer_, table(), "+10%").budget_bytes;
  uint64_t before = 0;
  std::vector<std::string> labels;
  for (const Plan& plan : uniform_plans_within(model_, tokenizer_, table(), budget)) {
    const uint64_t bytes = file_bytes(model_, plan, tokenizer_);
    EXPECT_LE(bytes, budget);
    EXPECT_GE(bytes, before);
    before = bytes;
    labels.push_back(plan.label);
  }
  EXPECT_THAT(labels, ::testing::Contains("uniform gguf:q4_k"));
  EXPECT_THAT(labels, ::testing::Not(::testing::Contains("uniform gguf:q8_0")));
  EXPECT_TRUE(uniform_plans_within(model_, tokenizer_, table(), 1000).empty());
  labels.clear();
  for (const Plan& plan : uniform_plans_within(model_, tokenizer_, table(), budget_bytes(model_, tokenizer_, "+0%")))
    labels.push_back(plan.label);
  EXPECT_THAT(labels, ::testing::Contains("uniform gguf:q4_k")) << "+0% is this file";
}

TEST_F(Planning, TheFrontGoesFromTheSmallestFileToTheBestAndEachPointIsThePlanOfItsBudget) {
  const PlanFront front = plan_front(model_, tokenizer_, table(), {}, 9);
  ASSERT_GT(front.points.size(), 6u);
  for (size_t i = 1; i < front.points.size(); ++i) {
    EXPECT_GT(front.points[i].bytes, front.points[i - 1].bytes);
    EXPECT_LT(front.points[i].plan.predicted_kl_nats, front.points[i - 1].plan.predicted_kl_nats);
  }
  const uint64_t smallest = front.points.front().bytes;
  expect_error(ErrorKind::kInfeasible, {std::to_string(smallest)},
               [&] { plan_within(model_, tokenizer_, table(), std::to_string(smallest - 1)); });
  EXPECT_EQ(front.points.back().plan.predicted_kl_nats,
            plan_within(model_, tokenizer_, table(), "1TB").predicted_kl_nats);
  const FrontPoint& middle = front.points[front.points.size() / 2];
  EXPECT_EQ(plan_within(model_, tokenizer_, table(), middle.plan.budget_text).predicted_kl_nats,
            middle.plan.predicted_kl_nats);
  EXPECT_EQ(front_to_json(front)["points"].size(), front.points.size());
  expect_error(ErrorKind::kInvalidArgument, {"a front of 1"}, [&] { plan_front(model_, tokenizer_, table(), {}, 1); });
}

TEST_F(Planning, TheLimitStandsBesideEveryPointOfTheFront) {
  Limit limit{1000, {}};
  for (const TensorId& id : model_.matrices()) {
    const int64_t rows = model_.weight(id).size(0), cols = model_.weight(id).size(1);
    limit.matrices.push_back({name_of(id), rows, cols, 1, 1, -128, {static_cast<double>(rows * cols)}});
  }
  const PlanFront front = plan_front(model_, tokenizer_, table(), {}, 5);
  const Json points = front_to_json(front, &limit)["points"];
  for (size_t i = 0; i < points.size(); ++i) {
    const Plan& plan = front.points[i].plan;
    EXPECT_EQ(points[i]["limit_kl_nats"], limit_kl(limit, static_cast<double>(plan.tensor_bytes)))
        << "header, norms and biases are in no code";
    EXPECT_NEAR(limit_shares(limit, plan, 1.0).limit_nats, points[i]["limit_kl_nats"].get<double>(), 1e-3)
        << "but for what the target pads";
  }
  EXPECT_FALSE(front_to_json(front)["points"][0].contains("limit_kl_nats"));
  limit.matrices.pop_back();
  expect_error(ErrorKind::kInvalidArgument, {"of this model"}, [&] { limit_shares(limit, front.points[0].plan, 1.0); });
}

TEST_F(Planning, DamageOfAnotherModelIsRefused) {
  DamageTable other = table();
  other.model_hash = "0123";
  expect_error(ErrorKind::kInvalidArgument, {"another model"}, [&] { plan_within(model_, tokenizer_, other, "+10%"); });
  expect_error(ErrorKind::kInvalidArgument, {"another model"},
               [&] { uniform_plans_within(model_, tokenizer_, other, 1 << 22); });
  diagnosis_.model_hash = "0123";
  expect_error(ErrorKind::kInvalidArgument, {"another model"}, [&] { table(); });
}

TEST_F(Planning, DamageIsCarriedOverByErrorPower) {
  WeightFacts& facts = diagnosis_.weight_facts[3];
  diagnosis_.components[3].kl.mean = 0.02;
  facts.error_power = {{"gguf:q4_k", 0.5}, {"gguf:q3_k", 2}, {"f16", 0}};
  EXPECT_THAT(table().kl.at(facts.tensor),
              ::testing::UnorderedElementsAre(::testing::Pair("gguf:q4_k", 0.02), ::testing::Pair("gguf:q3_k", 0.08),
                                              ::testing::Pair("f16", 0)));
}

TEST_F(Planning, DamageSurvivesItsFile) {
  const DamageTable before = table();
  const DamageTable back = damage_table_from_json(damage_table_to_json(before), "damage.json");
  EXPECT_EQ(back.model_hash, before.model_hash);
  EXPECT_EQ(back.kl, before.kl);
  EXPECT_EQ(back.provenance, before.provenance);
}

TEST_F(Planning, SearchedDamageIsWhatTheSearchLeavesOfEveryScheme) {
  const DamageTable rounded = grouped_table();
  const TensorId one = rounded.kl.begin()->first;
  const SearchEffect effect{rounded.model_hash, "auto", {{one, 0.25}}};
  const DamageTable searched = after_search(rounded, effect);
  for (const auto& [id, damages] : rounded.kl)
    for (const auto& [scheme, kl] : damages) {
      const double left = id == one ? 0.25 : 1;
      EXPECT_EQ(searched.kl.at(id).at(scheme), kl * left);
      for (size_t g = 0; g < rounded.groups.size(); ++g)
        EXPECT_EQ(searched.groups[g].kl.at(id).at(scheme), rounded.groups[g].kl.at(id).at(scheme) * left);
    }
  const DamageTable back = damage_table_from_json(damage_table_to_json(searched), "damage.json");
  EXPECT_EQ(back.method, "auto");
  EXPECT_EQ(back.kl, searched.kl);
  EXPECT_EQ(back.left, effect.left);
  expect_error(ErrorKind::kInvalidArgument, {"auto searched already"}, [&] { after_search(searched, effect); });
  expect_error(ErrorKind::kInvalidArgument, {"another model", "0000"}, [&] {
    after_search(rounded, {"0000", "auto", {}});
  });
  Json json = damage_table_to_json(searched);
  json["matrices"][0]["left"] = -1;
  expect_error(ErrorKind::kBadFile, {"damage.json", "share >= 0"},
               [&] { damage_table_from_json(json, "damage.json"); });
  json["method"] = "by magic";
  expect_error(ErrorKind::kBadFile, {"damage.json", "by magic"}, [&] { damage_table_from_json(json, "damage.json"); });
}

TEST_F(Planning, BrokenFilesOfDamageAreNamed) {
  const Json whole = damage_table_to_json(table());
  const auto broken = [&](const std::string& says, const auto& breaks) {
    Json json = whole;
    breaks(json);
    expect_error(ErrorKind::kBadFile, {"damage.json", says}, [&] { damage_table_from_json(json, "damage.json"); });
  };
  broken("vernier run", [](Json& j) { j["kind"] = "plan"; });
  broken("schema_version 9", [](Json& j) { j["schema_version"] = 9; });
  broken("matrices", [](Json& j) { j.erase("matrices"); });
  broken("array", [](Json& j) { j["matrices"] = 3; });
  broken("elephant", [](Json& j) { j["matrices"][0]["tensor"] = "elephant"; });
  broken("embed", [](Json& j) { j["matrices"].push_back(j["matrices"][0]); });
  broken("one object", [](Json& j) { j["matrices"][0]["kl_nats"] = "much"; });
  broken("nats", [](Json& j) { j["matrices"][0]["kl_nats"]["f16"] = -1; });
  broken("int99", [](Json& j) { j["matrices"][0]["kl_nats"]["int99"] = 1; });
}

TEST_F(Planning, GroupsAreCarriedOverAndSurviveTheFile) {
  const DamageTable groups = grouped_table();
  ASSERT_EQ(groups.groups.size(), 2u);
  EXPECT_EQ(groups.kl, table().kl) << "the whole is as without groups";
  for (const auto& [id, kl] : groups.kl)
    for (const auto& [scheme, value] : kl)
      EXPECT_NEAR(groups.groups[0].kl.at(id).at(scheme), value * (is_attention(component_of(id)) ? 30 : 0.2), 1e-12);
  const Json whole = damage_table_to_json(groups);
  const DamageTable back = damage_table_from_json(parse_json(whole.dump(), "damage.json"), "damage.json");
  EXPECT_EQ(damage_table_to_json(back), whole);
  Json json = whole;
  json["groups"][1]["matrices"].erase(0);
  expect_error(ErrorKind::kBadFile, {"forward", "expected the matrices"},
               [&] { damage_table_from_json(json, "damage.json"); });
  json = whole;
  json["groups"] = 7;
  expect_error(ErrorKind::kBadFile, {"groups"}, [&] { damage_table_from_json(json, "damage.json"); });
}

TEST_F(Planning, AnObjectiveOverGroupsTradesTheMeanForThem) {
  const DamageTable groups = grouped_table();
  const auto plan_for = [&](const std::string& objective) {
    return plan_within(model_, tokenizer_, groups, "+10%", {.objective = PlanObjective::parse(objective)});
  };
  const auto worst = [&](const Plan& plan) {
    double most = 0;
    for (const GroupDamageTable& group : groups.groups) {
      double sum = 0;
      for (const PlanEntry& e : plan.entries)
        if (e.damage > 0) sum += group.kl.at(parse_tensor(e.tensor)).at(e.scheme);
      most = std::max(most, sum);
    }
    return most;
  };
  const Plan mean = plan_for("mean"), fair = plan_for("worst-group");
  EXPECT_FALSE(mean.objective);
  EXPECT_EQ(plan_to_json(mean), plan_to_json(plan_within(model_, tokenizer_, table(), "+10%")));
  ASSERT_TRUE(fair.objective);
  EXPECT_LT(worst(fair), worst(mean));
  EXPECT_NEAR(fair.objective->kl_nats, worst(fair), 1e-12);
  EXPECT_LE(fair.objective->lower_bound_kl_nats, fair.objective->kl_nats);
  EXPECT_GT(fair.objective->lower_bound_kl_nats, 0.9 * fair.objective->kl_nats) << "few large matrices leave a gap";
  EXPECT_GT(fair.predicted_kl_nats, mean.predicted_kl_nats) << "what it costs in the mean";
  EXPECT_LE(file_bytes(model_, fair, tokenizer_), fair.budget_bytes);
  EXPECT_EQ(fair.budget_bytes, mean.budget_bytes);
  for (const PlannedGroup& group : fair.objective->groups) EXPECT_GE(group.kl_nats, group.least_kl_nats);

  const Plan by_size = plan_for("weighted");
  EXPECT_NEAR(by_size.objective->groups[0].weight, 0.25, 1e-12);
  EXPECT_NEAR(by_size.objective->groups[1].weight, 0.75, 1e-12);
  const Plan one = plan_for("weighted:attentive=1");
  EXPECT_NEAR(one.objective->groups[0].kl_nats, one.objective->groups[0].least_kl_nats,
              1e-3 * one.objective->groups[0].kl_nats);
  expect_error(ErrorKind::kInvalidArgument, {"no group de", "attentive, forward"}, [&] { plan_for("weighted:de=1"); });
  expect_error(ErrorKind::kInvalidArgument, {"not known by group"}, [&] {
    plan_within(model_, tokenizer_, table(), "+10%", {.objective = PlanObjective::parse("worst-group")});
  });
}

// What one objective reaches within a budget, no other's bound may deny.
TEST_F(Planning, BoundsHoldForPlansOfOtherObjectives) {
  const DamageTable groups = grouped_table();
  const std::vector<std::string> objectives{"mean", "worst-group", "weighted", "weighted:forward=1"};
  for (const char* budget : {"+0%", "+3%", "+10%", "+17%", "4.3bpw"}) {
    std::vector<Plan> plans;
    for (const std::string& objective : objectives)
      plans.push_back(plan_within(model_, tokenizer_, groups, budget, {.objective = PlanObjective::parse(objective)}));
    for (const Plan& bounded : plans)
      for (const Plan& other : plans) {
        EXPECT_GE(other.predicted_kl_nats, bounded.lower_bound_kl_nats * (1 - 1e-9)) << budget;
        if (bounded.objective && other.objective && bounded.objective->name == "worst-group") {
          double worst = 0;
          for (const PlannedGroup& group : other.objective->groups) worst = std::max(worst, group.kl_nats);
          EXPECT_GE(worst, bounded.objective->lower_bound_kl_nats * (1 - 1e-9)) << budget;
        }
      }
  }
}

// A plan that fills its budget stays within it however its values are found.
TEST_F(Planning, AFileTakesAsManyBytesWhateverFindsItsValues) {
  Plan plan = plan_within(model_, tokenizer_, table(), "+10%");
  const uint64_t bytes = file_bytes(model_, plan, tokenizer_);
  EXPECT_LE(bytes, plan.budget_bytes);
  for (const ValueSearch& search : value_searches()) {
    plan.method = search.name;
    EXPECT_EQ(file_bytes(model_, plan, tokenizer_), bytes) << search.name;
  }
}

TEST_F(Planning, WhatWasStoredExactlyForetellsNothingOfCoarserSchemes) {
  WeightFacts& facts = diagnosis_.weight_facts[3];
  facts.error_power = {{"gguf:q4_k", 0}, {"gguf:q3_k", 2}, {"f16", 0}};
  EXPECT_THAT(table().kl.at(facts.tensor),
              ::testing::UnorderedElementsAre(::testing::Pair("gguf:q4_k", 0), ::testing::Pair("f16", 0)));
}

TEST_F(Planning, AMatrixThatWasNotMeasuredIsNamed) {
  std::erase_if(diagnosis_.components, [](const ComponentDamage& d) { return name_of(d.component) == "L2.ffn_up"; });
  expect_error(ErrorKind::kInvalidArgument, {"L2.ffn_up"}, [&] { plan_within(model_, tokenizer_, table(), "+10%"); });
}

// A diagnosis of other kinds of components has no facts about the embedding at all.
TEST_F(Planning, AMatrixWithoutFactsIsNamed) {
  const auto is_embedding = [](const TensorId& id) { return id.role == TensorRole::kTokenEmbedding; };
  std::erase_if(diagnosis_.weight_facts, [&](const WeightFacts& f) { return is_embedding(f.tensor); });
  std::erase_if(diagnosis_.components, [](const ComponentDamage& d) { return name_of(d.component) == "embed"; });
  expect_error(ErrorKind::kInvalidArgument, {"--kinds tensor,embed,lm_head"},
               [&] { plan_within(model_, tokenizer_, table(), "+10%"); });
}

TEST_F(Planning, BudgetsAndTargetsThatCannotBe) {
  expect_error(ErrorKind::kInfeasible, {"smallest"}, [&] { plan_within(model_, tokenizer_, table(), "1bpw"); });
  expect_error(ErrorKind::kInvalidArgument, {"budget"}, [&] { plan_within(model_, tokenizer_, table(), "much"); });
  expect_error(ErrorKind::kUnsupported, {"vllm"}, [&] { planning_diagnosis("vllm"); });
  expect_error(ErrorKind::kInvalidArgument, {"llama.cpp"}, [&] { planning_diagnosis("abacus"); });
}

// A second target plans with schemes of its own, and its budget bounds what they would take.
TEST_F(Planning, AnotherTargetHasItsOwnSchemesAndSizes) {
  diagnosis_ = made_up_diagnosis("huggingface");
  const PlanningOptions options{.target = "huggingface"};
  const Target& target = find_target("huggingface");
  const Plan plan = plan_within(model_, {}, table(), "4.5bpw", options);
  EXPECT_EQ(plan.target, "huggingface");
  EXPECT_LE(target.counted_bytes(model_, plan, {}, {}), plan.budget_bytes);
  EXPECT_GT(target.counted_bytes(model_, plan, {}, {}), plan.budget_bytes * 95 / 100) << "bytes left lying";
  for (const PlanEntry& entry : plan.entries) EXPECT_EQ(entry.scheme.find("gguf:"), std::string::npos) << entry.tensor;
  EXPECT_FALSE(uniform_plans_within(model_, {}, table(), plan.budget_bytes, options).empty());
  EXPECT_EQ(target.counted_bytes(model_, plan_uniform(model_, "int4:g128:sym", "huggingface"), {}, {}),
            budget_bytes(model_, {}, "+0%", options));
}

TEST_F(Planning, RecipesNameTensorsAsTheModelOrAsATargetDoes) {
  std::map<std::string, std::string> schemes;
  for (const PlanEntry& entry :
       plan_from_recipe(
           model_,
           parse_recipe("^embed$ = gguf:q8_0\nself_attn\\.v_proj = gguf:q6_k\n^blk\\.(?!0\\.).*ffn_down = f16\n"
                        "^(?!.*ffn_down) = gguf:q5_0\n.* = gguf:q4_0\n",
                        "r"),
           "")
           .entries)
    schemes[entry.tensor] = entry.scheme;
  EXPECT_EQ(schemes.at("embed"), "gguf:q8_0");
  EXPECT_EQ(schemes.at("L3.attn_v"), "gguf:q6_k");
  EXPECT_EQ(schemes.at("L1.ffn_down"), "f16");
  EXPECT_EQ(schemes.at("L0.ffn_down"), "gguf:q4_0");
  EXPECT_EQ(schemes.at("L0.ffn_up"), "gguf:q5_0");
}

TEST_F(Planning, RecipesMatchEveryMatrixByItsFirstLine) {
  const Plan plan = plan_from_recipe(
      model_, parse_recipe("blk\\.0\\..* = gguf:q8_0\n.*ffn_down.* = gguf:q6_k\n.* = gguf:q4_k\n", "r"), "mine");
  EXPECT_EQ(plan.label, "mine");
  EXPECT_EQ(plan.entries.size(), model_.matrices().size());
  for (const PlanEntry& entry : plan.entries) {
    EXPECT_EQ(entry.scheme, entry.layer == 0           ? "gguf:q8_0"
                            : entry.role == "ffn_down" ? "gguf:q6_k"
                                                       : "gguf:q4_k")
        << entry.tensor;
  }
  expect_error(ErrorKind::kInvalidArgument, {"r: no line matches"},
               [&] { plan_from_recipe(model_, parse_recipe("blk.* = gguf:q4_k\n", "r"), ""); });
  expect_error(ErrorKind::kInvalidArgument, {"r:2: blk.* matches no tensor"},
               [&] { plan_from_recipe(model_, parse_recipe(".* = gguf:q4_k\nblk.* = gguf:q8_0\n", "r"), ""); });
  expect_error(ErrorKind::kInvalidArgument, {"r:2: ", "q99"},
               [&] { plan_from_recipe(model_, parse_recipe(".* = gguf:q4_k\nblk.* = gguf:q99\n", "r"), ""); });
}

// A router is f32 to every target, which is neither how a bf16 file has it nor what anybody measured.
TEST(WorstMixOfExperts, RoutersAreInNoneOfItsChoices) {
  Model model = load_model((source_dir() / "tests/fixtures/models/mixtral").string());
  for (const TensorId& id : model.tensors()) model.set_weight(id, model.weight(id).to(at::kBFloat16));
  const EvaluationData data = made_up_windows(2, 16, model.config().vocabulary);
  const Screen screened =
      screen(model, calibrate(model, data), {{"a", data}, {"b", made_up_windows(2, 12, model.config().vocabulary)}},
             {.schemes = planning_rules("huggingface", false).schemes, .kfac_rows = 0});
  const DamageTable damage = damage_table(model, screened);
  ASSERT_EQ(damage.groups.size(), 2u);
  const Plan planned = plan_within(model, {}, damage, "+30%", {.target = "huggingface"});
  const Plan worst = plan_worst(model, damage, planned, {.target = "huggingface"});
  EXPECT_GE(worst.predicted_kl_nats, planned.predicted_kl_nats);
  EXPECT_EQ(worst.provenance["worst_by_group"].size(), 2u);
}

// Engines load routers in float32 alone: a line that only they could follow is an error, one that others follow as well is not.
TEST(RecipeOfExperts, ALineThatOnlyRoutersCouldFollowIsAnError) {
  const Model model = load_model((source_dir() / "tests/fixtures/models/mixtral").string());
  const auto plan = [&](const std::string& recipe) { return plan_from_recipe(model, parse_recipe(recipe, "r"), ""); };
  expect_error(ErrorKind::kInvalidArgument, {"r:1: ", "gguf:q8_0", "L0.router", "llama.cpp", "f32 only"},
               [&] { plan("router = gguf:q8_0\n.* = gguf:q4_0\n"); });
  for (const PlanEntry& entry : plan("router = f32  # said so\n.* = f16\n").entries)
    EXPECT_EQ(entry.scheme == "f32" && entry.reason == "said so", entry.role == "router") << entry.tensor;
  for (const PlanEntry& entry : plan(".* = f16  # all\n").entries)
    EXPECT_THAT(entry.reason, entry.role == "router" ? testing::HasSubstr("f32 only; all") : testing::HasSubstr("all"));
}

}  // namespace
}  // namespace vernier
