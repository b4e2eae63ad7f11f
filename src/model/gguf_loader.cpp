#include <fmt/ranges.h>

#include <cmath>
#include <cstring>
#include <set>

#include "base/fail.h"
#include "format/carried_metadata.h"
#include "format/gguf_file.h"
#include "model/config.h"
#include "model/loaders.h"
#include "vernier/scheme.h"

namespace vernier {

namespace {

constexpr int64_t kMaxDimension = int64_t{1} << 24;

RopeConfig read_rope(const GgufFile& file, const std::string& arch, int64_t head_dim) {
  RopeConfig rope;
  const auto key = [&](const char* part) { return arch + ".rope." + part; };
  const auto number_or = [&](const char* part, double fallback) {
    if (file.find(key(part)) == nullptr) return fallback;
    return positive(file.get_number(key(part)), key(part), file.path().string());
  };
  rope.theta = number_or("freq_base", 10000);
  if (file.find(key("dimension_count")) != nullptr &&
      file.get_int(key("dimension_count"), 1, kMaxDimension) != head_dim)
    fail(ErrorKind::kUnsupported, "{}: {}: partial rotary embedding is not supported", file.path().string(),
         key("dimension_count"));
  const std::string type = file.find(key("scaling.type")) == nullptr ? "none" : file.get_string(key("scaling.type"));
  if (type == "linear") {
    rope.kind = RopeConfig::Kind::kLinear;
    rope.factor = number_or("scaling.factor", 1);
  } else if (type == "yarn") {
    rope.kind = RopeConfig::Kind::kYarn;
    rope.factor = number_or("scaling.factor", 1);
    rope.original_context = file.get_int(key("scaling.original_context_length"), 1, int64_t{1} << 40);
    rope.attention_factor = number_or("scaling.attn_factor", 1) * llama_cpp_yarn_magnitude(rope.factor);
  } else if (type != "none") {
    fail(ErrorKind::kUnsupported, "{}: rope scaling \"{}\"; supported: none, linear, yarn", file.path().string(), type);
  }
  if (const GgufTensor* factors = file.find_tensor("rope_freqs.weight")) {
    rope.kind = RopeConfig::Kind::kFactors;
    rope.factors.resize(static_cast<size_t>(head_dim / 2));
    if (factors->type->id != kGgmlF32 || factors->data.size() != rope.factors.size() * sizeof(float))
      fail(ErrorKind::kBadFile, "{}: rope_freqs.weight: expected {} float32", file.path().string(), head_dim / 2);
    std::memcpy(rope.factors.data(), factors->data.data(), factors->data.size());
    for (const float factor : rope.factors) positive(factor, "rope_freqs.weight", file.path().string());
  }
  return rope;
}

ModelConfig read_config(const GgufFile& file) {
  const std::string& arch = file.get_string("general.architecture");
  if (arch != "llama" && arch != "qwen2" && arch != "qwen3")
    fail(ErrorKind::kUnsupported, "{}: architecture \"{}\"; supported: llama, qwen2, qwen3", file.path().string(),
         arch);
  const auto dimension = [&](const std::string& part) { return file.get_int(arch + "." + part, 1, kMaxDimension); };
  const auto dimension_or = [&](const std::string& part, int64_t fallback) {
    return file.find(arch + "." + part) == nullptr ? fallback : dimension(part);
  };
  const GgufTensor* embedding = file.find_tensor("token_embd.weight");
  if (embedding == nullptr || embedding->shape.size() != 2)
    fail(ErrorKind::kBadFile, "{}: token_embd.weight: expected a matrix", file.path().string());
  ModelConfig c;
  c.family = arch;
  c.vocabulary = embedding->shape[0];
  c.hidden = dimension("embedding_length");
  c.layers = file.get_int(arch + ".block_count", 1, 4096);
  c.heads = dimension("attention.head_count");
  c.kv_heads = dimension_or("attention.head_count_kv", c.heads);
  c.intermediate = dimension("feed_forward_length");
  c.context_length = file.get_int(arch + ".context_length", 1, int64_t{1} << 40);
  c.head_dim = dimension_or("attention.key_length", std::max<int64_t>(1, c.hidden / c.heads));
  const std::string epsilon = arch + ".attention.layer_norm_rms_epsilon";
  c.norm_epsilon = positive(file.get_number(epsilon), epsilon, file.path().string());
  c.tied_embedding = file.find_tensor("output.weight") == nullptr;
  c.qkv_bias = file.find_tensor("blk.0.attn_q.bias") != nullptr;
  c.attn_output_bias = file.find_tensor("blk.0.attn_output.bias") != nullptr;
  c.ffn_bias = file.find_tensor("blk.0.ffn_down.bias") != nullptr;
  c.qk_norm = file.find_tensor("blk.0.attn_q_norm.weight") != nullptr;
  c.rope = read_rope(file, arch, c.head_dim);
  check_config(c, file.path().string());
  c.sliding_window.assign(static_cast<size_t>(c.layers), 0);  // llama.cpp sees everything; so do we in its files
  return c;
}

/// "gguf:q4_k" for ggml's "Q4_K".
std::string scheme_name(const GgmlType& type) {
  std::string name = "gguf:";
  for (const char c : type.name) name += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return name;
}

Scheme scheme_of(const GgufTensor& tensor) {
  const auto supported = gguf_scheme_names();
  const std::string name = scheme_name(*tensor.type);
  if (tensor.type->id == kGgmlF32 || tensor.type->id == kGgmlF16 || tensor.type->id == kGgmlBf16)
    return Scheme::parse(name);  // of any shape
  if (std::find(supported.begin(), supported.end(), name) == supported.end() || tensor.shape.size() != 2)
    fail(ErrorKind::kUnsupported, "load: {}: type {} with {} dimensions; supported: matrices of {}", tensor.name,
         tensor.type->name, tensor.shape.size(), fmt::join(supported, ", "));
  return Scheme::parse(name);
}

/// llama.cpp's llama architecture rotates neighbouring dimensions.
int64_t interleaved_heads(const ModelConfig& config, TensorRole role) {
  if (config.family != "llama") return 0;
  if (role == TensorRole::kAttnQ || role == TensorRole::kAttnQBias) return config.heads;
  if (role == TensorRole::kAttnK || role == TensorRole::kAttnKBias) return config.kv_heads;
  return 0;
}

/// A tensor that no part of the model reads would be left out of every answer: the wrong number, without a word.
void refuse_unknown_tensors(const GgufFile& file, const ModelConfig& config) {
  std::set<std::string> known = {"rope_freqs.weight"};  // read with the configuration
  for (const TensorId& id : expected_tensors(config)) known.insert(gguf_name(id));
  for (const GgufTensor& tensor : file.tensors())
    if (!known.contains(tensor.name))
      fail(ErrorKind::kUnsupported,
           "load: {}: tensor {} is not part of a {} model as this program knows it; leaving it out "
           "would make every number wrong",
           file.path().string(), tensor.name, config.family);
}

}  // namespace

double llama_cpp_yarn_magnitude(double factor) { return factor > 1 ? 0.1 * std::log(factor) + 1 : 1; }

ModelOutline outline_gguf(const std::filesystem::path& path) {
  const auto file = std::make_shared<const GgufFile>(path);
  ModelOutline outline;
  outline.config = read_config(*file);
  outline.source.path = file->path();
  outline.source.name = file->path().filename().string();
  outline.source.gguf = true;
  outline.source.origin = std::make_shared<const std::vector<GgufKeyValue>>(carried_metadata(*file));
  outline.mapping = file;
  outline.release_pages = [file] { file->release_pages(); };
  for (const TensorId& id : expected_tensors(outline.config)) {
    const std::string name = gguf_name(id);
    const GgufTensor* tensor = file->find_tensor(name);
    if (tensor == nullptr)
      fail(ErrorKind::kBadFile, "load: {}: tensor {} is missing; fetch or convert the file again", path.string(), name);
    const auto expected = expected_shape(outline.config, id.role);
    if (tensor->shape != expected)
      fail(ErrorKind::kBadFile, "load: {}: {}: expected [{}], got [{}]", path.string(), name, fmt::join(expected, ", "),
           fmt::join(tensor->shape, ", "));
    outline.tensors.push_back(
        {id, tensor->shape, scheme_of(*tensor), tensor->data, interleaved_heads(outline.config, id.role)});
  }
  refuse_unknown_tensors(*file, outline.config);
  return outline;
}

}  // namespace vernier
