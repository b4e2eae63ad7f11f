// CLIP: an encoder of images and a causal one of texts, each projected into a space where their cosines are scaled into
// logits. arXiv:2103.00020

#include "model/architectures/encoder.h"
#include "model/architectures/rows.h"

namespace vernier {

namespace {

using Role = TensorRole;

/// What a stack's configuration is in: "NAME_config_dict", which old files have beside it, is the one that transformers
/// takes.
const Json& stack_json(const ConfigFile& file, const char* key, const char* old_key) {
  static const Json empty = Json::object();
  for (const char* name : {old_key, key})
    if (const Json* json = file.find(name)) return *json;
  return empty;
}

ModelConfig read_clip_text(const ConfigFile& file) {
  constexpr int64_t kVocabulary = 49408, kPositions = 77, kEnd = 49407;
  ModelConfig config = read_encoder(
      file, {.hidden = 512, .heads = 8, .intermediate = 2048, .activation = "quick_gelu", .epsilon = 1e-5});
  for (LayerConfig& layer : config.layers) layer.attention.causal = true;
  config.vocabulary = file.integer_or("vocab_size", kVocabulary, 1, kMaxDimension);
  config.positions = config.context_length = file.integer_or("max_position_embeddings", kPositions, 1, kMaxDimension);
  config.read_out.row = ReadOutConfig::Row::kEnd;
  // 2 stands in files that were written before the tokenizer's end was; transformers then takes the largest id.
  constexpr int64_t kUnknownEnd = 2;
  const int64_t end = file.integer_or("eos_token_id", kEnd, 0, kMaxDimension);
  config.read_out.end_token = end == kUnknownEnd ? -1 : end;
  config.stack = Stack::kText;
  config.family = "clip_text";
  return config;
}

ModelConfig read_clip_image(const ConfigFile& file) {
  const EncoderDefaults defaults{.activation = "quick_gelu", .epsilon = 1e-5, .patch_size = 32};
  ModelConfig config = read_encoder(file, defaults);
  read_patches(file, defaults, /*distillation_token=*/false, config);
  config.input_norm = true;
  config.read_out.row = ReadOutConfig::Row::kFirst;
  config.stack = Stack::kImage;
  config.family = "clip_image";
  return config;
}

ModelConfig read_clip(const ConfigFile& file) {
  constexpr int64_t kProjection = 512;
  ModelConfig config;
  for (const bool sees : {true, false}) {
    const char* key = sees ? "vision_config" : "text_config";
    const ConfigFile part(stack_json(file, key, sees ? "vision_config_dict" : "text_config_dict"),
                          file.origin() + ": " + key);
    ModelConfig stack = sees ? read_clip_image(part) : read_clip_text(part);
    stack.read_out.projection = file.integer_or("projection_dim", kProjection, 1, kMaxDimension);
    refuse_foreign_config_keys(part.json(), sees ? clip_image_architecture() : clip_text_architecture(), stack,
                               part.origin());
    config.stacks.push_back(std::move(stack));
  }
  return config;
}

std::vector<TensorName> clip_layer_names(const std::string& body) {
  const std::string layer = body + "encoder.layers.{layer}.", attention = layer + "self_attn.";
  return {{Role::kAttnNorm, layer + "layer_norm1.weight"},    {Role::kAttnNormBias, layer + "layer_norm1.bias"},
          {Role::kAttnQ, attention + "q_proj.weight"},        {Role::kAttnQBias, attention + "q_proj.bias"},
          {Role::kAttnK, attention + "k_proj.weight"},        {Role::kAttnKBias, attention + "k_proj.bias"},
          {Role::kAttnV, attention + "v_proj.weight"},        {Role::kAttnVBias, attention + "v_proj.bias"},
          {Role::kAttnOutput, attention + "out_proj.weight"}, {Role::kAttnOutputBias, attention + "out_proj.bias"},
          {Role::kFfnNorm, layer + "layer_norm2.weight"},     {Role::kFfnNormBias, layer + "layer_norm2.bias"},
          {Role::kFfnUp, layer + "mlp.fc1.weight"},           {Role::kFfnUpBias, layer + "mlp.fc1.bias"},
          {Role::kFfnDown, layer + "mlp.fc2.weight"},         {Role::kFfnDownBias, layer + "mlp.fc2.bias"}};
}

std::vector<TensorName> with_names(std::vector<TensorName> names, const std::vector<TensorName>& more) {
  names.insert(names.end(), more.begin(), more.end());
  return names;
}

}  // namespace

const Architecture& clip_architecture() {
  static const Architecture row = {.name = "clip",
                                   .model_types = {"clip"},
                                   .read_config = read_clip,
                                   .body = "",
                                   .hugging_face = {{Role::kLogitScale, "logit_scale", false, false, scalar_shape}},
                                   .unread = {"embeddings.position_ids"}};  // 0, 1, 2 ..., which old files store
  return row;
}

const Architecture& clip_image_architecture() {
  static const Architecture row = {
      .name = "clip_image",
      .body = "",
      .hugging_face = with_names(
          clip_layer_names("vision_model."),
          {{Role::kPatchEmbedding, "vision_model.embeddings.patch_embedding.weight", false, false, convolution_shape},
           {Role::kClassToken, "vision_model.embeddings.class_embedding"},
           {Role::kPositionEmbedding, "vision_model.embeddings.position_embedding.weight"},
           {Role::kInputNorm, "vision_model.pre_layrnorm.weight"},
           {Role::kInputNormBias, "vision_model.pre_layrnorm.bias"},
           {Role::kOutputNorm, "vision_model.post_layernorm.weight"},
           {Role::kOutputNormBias, "vision_model.post_layernorm.bias"},
           {Role::kProjection, "visual_projection.weight"}})};
  return row;
}

const Architecture& clip_text_architecture() {
  static const Architecture row = {
      .name = "clip_text",
      .body = "",
      .hugging_face = with_names(clip_layer_names("text_model."),
                                 {{Role::kTokenEmbedding, "text_model.embeddings.token_embedding.weight"},
                                  {Role::kPositionEmbedding, "text_model.embeddings.position_embedding.weight"},
                                  {Role::kOutputNorm, "text_model.final_layer_norm.weight"},
                                  {Role::kOutputNormBias, "text_model.final_layer_norm.bias"},
                                  {Role::kProjection, "text_projection.weight"}})};
  return row;
}

}  // namespace vernier
