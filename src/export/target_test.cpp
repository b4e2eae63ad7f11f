// What holds for every row of targets().

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "support/models.h"
#include "support/scratch.h"
#include "support/small_tokenizer.h"
#include "vernier/error.h"
#include "vernier/export.h"
#include "vernier/planning.h"

namespace vernier {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

TEST(Targets, UnknownOnesSayWhatIsKnown) {
  for (const auto& [name, kind] : {std::pair("vllm", ErrorKind::kUnsupported), {"abacus", ErrorKind::kInvalidArgument}})
    try {
      find_target(name);
      ADD_FAILURE() << "found " << name;
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), kind);
      EXPECT_THAT(e.what(), HasSubstr(name));
      for (const Target& target : targets()) EXPECT_THAT(e.what(), HasSubstr(target.name));
    }
}

TEST(Targets, LlamaCppFixesVectorsAndStacksExperts) {
  const TargetRules& rules = find_target("llama.cpp").rules;
  const std::vector<TensorFacts> tensors = {{TensorRole::kFfnUp, 0, 0, {512, 256}, "blk.0.ffn_up_exps.weight"},
                                            {TensorRole::kFfnUp, 0, 1, {512, 256}, "blk.0.ffn_up_exps.weight"},
                                            {TensorRole::kFfnNorm, 0, -1, {256}},
                                            {TensorRole::kTokenEmbedding, -1, -1, {512, 256}}};
  EXPECT_THAT(rules.tied(tensors), ::testing::ElementsAre(::testing::ElementsAre(0, 1)));
  EXPECT_THAT(rules.schemes_for(tensors[2]), ::testing::ElementsAre("f32"));
  EXPECT_EQ(rules.schemes_for(tensors[3]), rules.schemes);
}

class EveryTarget : public ::testing::TestWithParam<std::string> {
 protected:
  const Target& target_ = find_target(GetParam());
  fs::path out_ = scratch_path("vernier_every_target");
  void TearDown() override { fs::remove_all(out_); }
};

// Size, writer, reader and the names of the row's own vocabulary belong together.
TEST_P(EveryTarget, WritesWhatItForetellsAndOurReaderGetsTheValues) {
  const Model model = fixture_model("qwen2");
  const TokenizerModel tokenizer = small_tokenizer();
  const Plan plan = plan_uniform(model, target_.four_bit_schemes.front(), target_.name);
  EXPECT_EQ(plan.target, target_.name);
  const uint64_t bytes = target_.file_bytes(model, plan, tokenizer, {});
  const QuantizedModel q = quantize(model, calibrate(model, made_up_windows(2, 16, 320)), plan, 2);
  export_model(target_, q, tokenizer, out_);
  uint64_t written = 0;
  if (!target_.is_folder()) written = fs::file_size(out_);
  if (target_.is_folder())
    for (const auto& entry : fs::recursive_directory_iterator(out_))
      if (entry.is_regular_file()) written += entry.file_size();
  EXPECT_EQ(written, bytes);
  EXPECT_TRUE(fs::is_regular_file(target_.weights_file(out_)));
  const Model loaded = load_model(out_.string());
  EXPECT_EQ(loaded.tensors(), model.tensors());
  for (const TensorId& id : loaded.tensors()) EXPECT_TRUE(at::equal(loaded.weight(id), q.values(id))) << name_of(id);
}

TEST_P(EveryTarget, SchemesArePlannableAndNamesAreUnique) {
  const Model model = load_model((source_dir() / "models/demo-5m").string());
  std::set<std::string> names;
  for (const TensorId& id : model.tensors()) names.insert((model.blueprint().at(id).*target_.file).name);
  EXPECT_EQ(names.size(), model.tensors().size());
  ASSERT_FALSE(target_.rules.schemes.empty());
  ASSERT_FALSE(target_.four_bit_schemes.empty());
  const TokenizerModel tokenizer = small_tokenizer();
  for (const std::string& scheme : target_.rules.schemes) {
    EXPECT_EQ(Scheme::parse(scheme).name(), scheme) << "canonical";
    EXPECT_GT(target_.counted_bytes(model, plan_uniform(model, scheme, target_.name), tokenizer, {}), 0u) << scheme;
  }
  EXPECT_EQ(target_.rules.target, target_.name);
  EXPECT_THAT(target_.rules.schemes, ::testing::Contains("f16")) << "50% is a share of it";
}

std::vector<std::string> names_of_targets() {
  std::vector<std::string> names;
  for (const Target& target : targets()) names.push_back(target.name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Rows, EveryTarget, ::testing::ValuesIn(names_of_targets()), [](const auto& info) {
  std::string name = info.param;
  std::erase_if(name, [](unsigned char c) { return !std::isalnum(c); });
  return name;
});

}  // namespace
}  // namespace vernier
