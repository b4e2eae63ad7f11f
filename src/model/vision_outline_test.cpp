// What the files of models that see say: configuration, tensors by name and shape, components, and what is refused.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "base/json.h"
#include "model/config.h"
#include "support/expect_error.h"
#include "vernier/blueprint.h"
#include "vernier/component.h"
#include "vernier/model_outline.h"

namespace vernier {
namespace {

using Role = TensorRole;
using ::testing::Contains;
using ::testing::Not;

std::filesystem::path vision_folder(const std::string& name) {
  return std::filesystem::path(VERNIER_SOURCE_DIR) / "tests/fixtures/vision_models" / name;
}

Json vision_config(const std::string& name) { return read_json(vision_folder(name) / "config.json"); }

std::vector<std::string> component_names(const std::vector<Component>& components) {
  std::vector<std::string> names;
  for (const Component& component : components) names.push_back(name_of(component));
  return names;
}

TEST(VisionOutline, AClassifierIsOneStackOfPatches) {
  const ModelConfig config = parse_config(vision_config("vit"), "config.json");
  EXPECT_EQ(config.family, "vit");
  EXPECT_FALSE(config.is_language_model());
  EXPECT_EQ(config.patches.count(), 16);
  EXPECT_EQ(config.positions, 17);
  EXPECT_EQ(config.read_out.classes, 10);
  EXPECT_FALSE(config.layer(0).attention.causal);
  const Blueprint blueprint(config);
  EXPECT_EQ(blueprint.at({Role::kPatchEmbedding}).shape, (std::vector<int64_t>{64, 3 * 8 * 8}));
  EXPECT_EQ(blueprint.at({Role::kPatchEmbedding}).hugging_face.shape, (std::vector<int64_t>{64, 3, 8, 8}));
  EXPECT_EQ(blueprint.at({Role::kPositionEmbedding}).hugging_face.shape, (std::vector<int64_t>{1, 17, 64}));
  EXPECT_EQ(blueprint.at({Role::kClassToken}).hugging_face.shape, (std::vector<int64_t>{1, 1, 64}));
  EXPECT_EQ(blueprint.at({Role::kClassifier}).input, (SiteId{Site::kOutputInput}));
  EXPECT_EQ(blueprint.find({Role::kTokenEmbedding}), nullptr);
  EXPECT_EQ(blueprint.find({Role::kOutput}), nullptr);
  EXPECT_EQ(blueprint.tensors().front().id.role, Role::kPatchEmbedding);
  EXPECT_EQ(blueprint.tensors().back().id.role, Role::kClassifierBias);
}

TEST(VisionOutline, DistillationIsATokenAndMaybeAClassifier) {
  const Blueprint plain(parse_config(vision_config("deit"), "config.json"));
  EXPECT_NE(plain.find({Role::kDistillationToken}), nullptr);
  EXPECT_EQ(plain.find({Role::kDistillationClassifier}), nullptr);
  const ModelConfig distilled = parse_config(vision_config("deit_distilled"), "config.json");
  EXPECT_EQ(distilled.family, "deit_distilled");
  EXPECT_EQ(Blueprint(distilled).at({Role::kClassifier}).hugging_face.name, "cls_classifier.weight");
  EXPECT_EQ(Blueprint(distilled).at({Role::kDistillationClassifier}).input, (SiteId{Site::kDistilledInput}));
}

TEST(VisionOutline, ClipIsTwoStacks) {
  const ModelConfig config = parse_config(vision_config("clip"), "config.json");
  ASSERT_EQ(config.stacks.size(), 2u);
  EXPECT_EQ(config.find_stack(Stack::kImage)->hidden, 64);
  EXPECT_EQ(config.find_stack(Stack::kText)->hidden, 48);
  EXPECT_TRUE(config.find_stack(Stack::kText)->layer(0).attention.causal);
  EXPECT_EQ(config.find_stack(Stack::kText)->read_out.end_token, 399);
  EXPECT_EQ(parse_config(vision_config("clip_gelu"), "c").find_stack(Stack::kText)->read_out.end_token, -1);
  const Blueprint blueprint(config);
  EXPECT_EQ(blueprint.at({Role::kFfnUp, 1, -1, Stack::kText}).shape, (std::vector<int64_t>{96, 48}));
  EXPECT_EQ(blueprint.at({Role::kFfnUp, 1, -1, Stack::kImage}).hugging_face.name,
            "vision_model.encoder.layers.1.mlp.fc1.weight");
  EXPECT_EQ(blueprint.at({Role::kAttnOutput, 0, -1, Stack::kImage}).input,
            (SiteId{Site::kAttnOutputInput, 0, -1, Stack::kImage}));
  EXPECT_EQ(blueprint.at({Role::kLogitScale}).hugging_face.shape, std::vector<int64_t>{});
  EXPECT_NE(blueprint.find({Role::kInputNormBias, -1, -1, Stack::kImage}), nullptr);
  EXPECT_EQ(blueprint.find({Role::kInputNorm, -1, -1, Stack::kText}), nullptr);
}

TEST(VisionOutline, EveryStoredTensorIsRead) {
  for (const char* name : {"vit", "vit_patch4", "deit", "deit_distilled", "clip", "clip_gelu"}) {
    const ModelOutline outline = outline_model(vision_folder(name).string());
    EXPECT_TRUE(outline.source.warnings.empty()) << name;
    EXPECT_EQ(outline.tensors.size(), Blueprint(outline.config).tensors().size()) << name;
    for (const TensorOutline& tensor : outline.tensors) EXPECT_EQ(parse_tensor(name_of(tensor.id)), tensor.id);
  }
}

TEST(VisionOutline, EveryMatrixIsAComponentOnce) {
  for (const char* name : {"vit", "deit_distilled", "clip"}) {
    const ModelConfig config = parse_config(vision_config(name), "config.json");
    std::set<TensorId> matrices, covered;
    const Blueprint blueprint(config);
    for (const TensorSpec& tensor : blueprint.tensors())
      if (is_matrix(tensor.id.role)) matrices.insert(tensor.id);
    for (const Component& component :
         components_of(config, {ComponentKind::kTensor, ComponentKind::kEmbed, ComponentKind::kLmHead})) {
      EXPECT_EQ(parse_component(name_of(component)), component);
      for (const WeightSlice& slice : slices_of(config, component))
        EXPECT_TRUE(covered.insert(slice.tensor).second) << name_of(slice.tensor);
    }
    EXPECT_EQ(covered, matrices) << name;
  }
}

TEST(VisionOutline, ComponentsOfStacksAreNamedByThem) {
  const ModelConfig clip = parse_config(vision_config("clip"), "config.json");
  const std::vector<std::string> names = component_names(components_of(clip, all_component_kinds()));
  for (const char* name : {"image.patch_embed", "image.L1.head3", "image.L0.ffn", "image.projection", "text.embed",
                           "text.L1.attn_q", "text.L0", "text.projection"})
    EXPECT_THAT(names, Contains(name));
  EXPECT_THAT(names, Not(Contains("image.embed")));
  EXPECT_EQ(slices_of(clip, parse_component("text.L1.head2")),
            (std::vector<WeightSlice>{{{Role::kAttnQ, 1, -1, Stack::kText}, 24, 12, 0, 48},
                                      {{Role::kAttnOutput, 1, -1, Stack::kText}, 0, 48, 24, 12}}));
  EXPECT_EQ(restart_of(parse_component("image.patch_embed")), Restart::kEmbedding);
  EXPECT_EQ(restart_of(parse_component("text.projection")), Restart::kOutputMatrix);
  EXPECT_EQ(component_names(components_of(parse_config(vision_config("vit"), "c"), {ComponentKind::kTensor})).front(),
            "patch_embed");
  for (const char* name : {"L0.head1", "image.L2", "image.classifier", "patch_embed"})
    expect_error(ErrorKind::kInvalidArgument, {name, "no such part"}, [&] { slices_of(clip, parse_component(name)); });
}

TEST(VisionOutline, ConfigurationsThatDoNotFitAreRefused) {
  const auto refuse = [](const char* name, const char* key, const Json& value, ErrorKind kind, const char* said) {
    Json json = vision_config(name);
    json[Json::json_pointer(key)] = value;
    expect_error(kind, {said}, [&] { parse_config(json, "config.json"); });
  };
  refuse("vit", "/patch_size", 64, ErrorKind::kBadFile, "patch_size 64: expected at most image_size, 32");
  refuse("vit", "/image_size", Json::array({32, 64}), ErrorKind::kUnsupported, "supported: squares");
  refuse("vit", "/image_size", 1 << 20, ErrorKind::kBadFile, "expected at most 32768");
  refuse("vit", "/num_attention_heads", 5, ErrorKind::kBadFile, "not divisible by 5");
  refuse("vit", "/hidden_act", "tanhshrink", ErrorKind::kUnsupported, "quick_gelu");
  refuse("vit", "/layer_norm_eps", -1, ErrorKind::kBadFile, "layer_norm_eps");
  refuse("clip", "/vision_config/patch_size", 0, ErrorKind::kBadFile, "vision_config");
  refuse("clip", "/text_config", "small", ErrorKind::kBadFile, "text_config");
  refuse("clip", "/text_config/use_sliding_window", true, ErrorKind::kUnsupported, "use_sliding_window");
}

TEST(VisionOutline, KeysThatAreLeftOutHaveTheirDefaults) {
  const ModelConfig vit = parse_config({{"model_type", "vit"}}, "config.json");
  EXPECT_EQ(vit.hidden, 768);
  EXPECT_EQ(vit.positions, 14 * 14 + 1);
  EXPECT_EQ(vit.read_out.classes, 2);
  const ModelConfig clip = parse_config({{"model_type", "clip"}}, "config.json");
  EXPECT_EQ(clip.find_stack(Stack::kText)->hidden, 512);
  EXPECT_EQ(clip.find_stack(Stack::kText)->read_out.end_token, 49407);
  EXPECT_EQ(clip.find_stack(Stack::kImage)->patches.patch_size, 32);
  Json json = vision_config("clip");  // files of old versions say it twice, and the second is what counts
  json["text_config_dict"] = {{"hidden_size", 64}, {"num_attention_heads", 8}};
  EXPECT_EQ(parse_config(json, "config.json").find_stack(Stack::kText)->hidden, 64);
  json = vision_config("vit");
  json["image_size"] = Json::array({32, 32});
  EXPECT_EQ(parse_config(json, "config.json").patches.image_size, 32);
}

}  // namespace
}  // namespace vernier
