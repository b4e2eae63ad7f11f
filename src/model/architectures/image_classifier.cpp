// ViT and DeiT: one encoder whose learned rows are read by linear classifiers. arXiv:2010.11929, arXiv:2012.12877

#include <algorithm>

#include "base/fail.h"
#include "model/architectures/encoder.h"
#include "model/architectures/rows.h"

namespace vernier {

namespace {

using Role = TensorRole;

/// transformers keeps names of classes and counts them; it takes two where it keeps none.
int64_t read_classes(const ConfigFile& file) {
  constexpr int64_t kFallback = 2;
  const Json* names = file.find("id2label");
  if (names != nullptr && names->is_object() && !names->empty()) return static_cast<int64_t>(names->size());
  return file.integer_or("num_labels", kFallback, 1, kMaxDimension);
}

ModelConfig read_classifier(const ConfigFile& file, bool distillation_token, bool distilled) {
  ModelConfig config = read_encoder(file, {});
  read_patches(file, {}, distillation_token, config);
  config.patches.bias = true;
  const bool qkv_bias = file.flag("qkv_bias", true);
  for (LayerConfig& layer : config.layers) layer.attention.qkv_bias = qkv_bias;
  config.read_out = {.row = ReadOutConfig::Row::kFirst, .classes = read_classes(file), .distilled = distilled};
  return config;
}

ModelConfig read_vit(const ConfigFile& file) { return read_classifier(file, false, false); }

// The distillation token is always there; whether it has a classifier, the class that saved the model says.
ModelConfig read_deit(const ConfigFile& file) { return read_classifier(file, true, false); }
ModelConfig read_distilled(const ConfigFile& file) { return read_classifier(file, true, true); }
bool claims_distilled(const ConfigFile& file) {
  const Json* classes = file.find("architectures");
  return classes != nullptr && classes->is_array() &&
         std::find(classes->begin(), classes->end(), "DeiTForImageClassificationWithTeacher") != classes->end();
}

std::vector<TensorName> classifier_names(const std::string& body, const std::string& classifier) {
  const std::string layer = body + "encoder.layer.{layer}.", attention = layer + "attention.attention.";
  return {
      {Role::kPatchEmbedding, body + "embeddings.patch_embeddings.projection.weight", false, false, convolution_shape},
      {Role::kPatchEmbeddingBias, body + "embeddings.patch_embeddings.projection.bias"},
      {Role::kClassToken, body + "embeddings.cls_token", false, false, batch_of_one},
      {Role::kDistillationToken, body + "embeddings.distillation_token", false, false, batch_of_one},
      {Role::kPositionEmbedding, body + "embeddings.position_embeddings", false, false, batch_of_one},
      {Role::kAttnNorm, layer + "layernorm_before.weight"},
      {Role::kAttnNormBias, layer + "layernorm_before.bias"},
      {Role::kAttnQ, attention + "query.weight"},
      {Role::kAttnQBias, attention + "query.bias"},
      {Role::kAttnK, attention + "key.weight"},
      {Role::kAttnKBias, attention + "key.bias"},
      {Role::kAttnV, attention + "value.weight"},
      {Role::kAttnVBias, attention + "value.bias"},
      {Role::kAttnOutput, layer + "attention.output.dense.weight"},
      {Role::kAttnOutputBias, layer + "attention.output.dense.bias"},
      {Role::kFfnNorm, layer + "layernorm_after.weight"},
      {Role::kFfnNormBias, layer + "layernorm_after.bias"},
      {Role::kFfnUp, layer + "intermediate.dense.weight"},
      {Role::kFfnUpBias, layer + "intermediate.dense.bias"},
      {Role::kFfnDown, layer + "output.dense.weight"},
      {Role::kFfnDownBias, layer + "output.dense.bias"},
      {Role::kOutputNorm, body + "layernorm.weight"},
      {Role::kOutputNormBias, body + "layernorm.bias"},
      {Role::kClassifier, classifier + ".weight"},
      {Role::kClassifierBias, classifier + ".bias"},
      {Role::kDistillationClassifier, "distillation_classifier.weight"},
      {Role::kDistillationClassifierBias, "distillation_classifier.bias"}};
}

}  // namespace

const Architecture& vit_architecture() {
  static const Architecture row = {.name = "vit",
                                   .model_types = {"vit"},
                                   .read_config = read_vit,
                                   .body = "vit.",
                                   .hugging_face = classifier_names("vit.", "classifier")};
  return row;
}

const Architecture& deit_architecture() {
  static const Architecture row = {.name = "deit",
                                   .model_types = {"deit"},
                                   .read_config = read_deit,
                                   .body = "deit.",
                                   .hugging_face = classifier_names("deit.", "classifier")};
  return row;
}

const Architecture& deit_distilled_architecture() {
  static const Architecture row = {.name = "deit_distilled",
                                   .model_types = {"deit"},
                                   .claims_config = claims_distilled,
                                   .read_config = read_distilled,
                                   .body = "deit.",
                                   .hugging_face = classifier_names("deit.", "cls_classifier")};
  return row;
}

}  // namespace vernier
