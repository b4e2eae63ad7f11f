#include <fmt/ranges.h>

#include <cmath>
#include <cstring>
#include <set>

#include "base/fail.h"
#include "format/carried_metadata.h"
#include "format/gguf_file.h"
#include "model/config.h"
#include "model/foreign_keys.h"
#include "model/loaders.h"
#include "vernier/scheme.h"

namespace vernier {

namespace {

constexpr int64_t kMaxDimension = int64_t{1} << 24;

RopeConfig read_rope(const GgufFile& file, const ModelConfig& config) {
  RopeConfig rope;
  const std::string origin = "load: " + file.path().string();
  const int64_t head_dim = config.head_dim;
  const auto key = [&](const char* part) { return config.family + ".rope." + part; };
  const auto number_or = [&](const char* part, double fallback) {
    if (file.find(key(part)) == nullptr) return fallback;
    return positive(file.get_number(key(part)), key(part), origin);
  };
  rope.theta = number_or("freq_base", 10000);
  if (file.find(key("dimension_count")) != nullptr &&
      file.get_int(key("dimension_count"), 1, kMaxDimension) != head_dim)
    fail(ErrorKind::kUnsupported, "{}: {}: partial rotary embedding is not supported", origin, key("dimension_count"));
  // As llama.cpp: a file that names no type means linear, and one of before 2023-10 names the factor otherwise.
  const std::string type = file.find(key("scaling.type")) == nullptr ? "linear" : file.get_string(key("scaling.type"));
  const double factor = number_or("scaling.factor", number_or("scale_linear", 1));
  const double attention_factor = number_or("scaling.attn_factor", 1);
  if (type == "linear") {
    rope.kind = factor == 1 ? RopeConfig::Kind::kDefault : RopeConfig::Kind::kLinear;
    rope.factor = factor;
  } else if (type == "yarn") {
    rope.kind = RopeConfig::Kind::kYarn;
    rope.factor = factor;
    rope.original_context = file.find(key("scaling.original_context_length")) == nullptr
                                ? config.context_length
                                : file.get_int(key("scaling.original_context_length"), 1, int64_t{1} << 40);
    rope.attention_factor = attention_factor * llama_cpp_yarn_magnitude(factor);
  } else if (type != "none") {
    fail(ErrorKind::kUnsupported, "{}: rope scaling \"{}\"; supported: none, linear, yarn", origin, type);
  }
  // llama.cpp scales the rotation by it whatever the type is.
  if (type != "yarn" && attention_factor != 1)
    fail(ErrorKind::kUnsupported, "{}: {} is {} with rope scaling \"{}\"; supported: with yarn only", origin,
         key("scaling.attn_factor"), attention_factor, type);
  if (const GgufTensor* factors = file.find_tensor("rope_freqs.weight")) {
    if (rope.kind != RopeConfig::Kind::kDefault)
      fail(ErrorKind::kUnsupported, "{}: rope_freqs.weight together with rope scaling \"{}\"; supported: one of them",
           origin, type);
    rope.kind = RopeConfig::Kind::kFactors;
    rope.factors.resize(static_cast<size_t>(head_dim / 2));
    if (factors->type->id != kGgmlF32 || factors->data.size() != rope.factors.size() * sizeof(float))
      fail(ErrorKind::kBadFile, "{}: rope_freqs.weight: expected {} float32", origin, head_dim / 2);
    std::memcpy(rope.factors.data(), factors->data.data(), factors->data.size());
    for (const float divisor : rope.factors) positive(divisor, "rope_freqs.weight", origin);
  }
  return rope;
}

/// A number that some files repeat for every layer. All blocks have one shape here.
int64_t same_in_every_layer(const GgufFile& file, const std::string& key, int64_t layers) {
  const std::vector<int64_t> values = file.get_ints(key, 0, kMaxDimension);
  const std::string origin = "load: " + file.path().string();
  if (values.size() != 1 && values.size() != static_cast<size_t>(layers))
    fail(ErrorKind::kBadFile, "{}: {}: expected one number or {}, one per layer, got {}", origin, key, layers,
         values.size());
  for (size_t i = 1; i < values.size(); ++i)
    if (values[i] != values[0])
      fail(ErrorKind::kUnsupported, "{}: {}: layer {} has {} and layer 0 has {}; supported: layers of one shape",
           origin, key, i, values[i], values[0]);
  if (values[0] == 0) fail(ErrorKind::kBadFile, "{}: {}: expected at least 1, got 0", origin, key);
  return values[0];
}

ModelConfig read_config(const GgufFile& file) {
  const std::string origin = "load: " + file.path().string();
  if (file.find("general.type") != nullptr && file.get_string("general.type") != "model")
    fail(ErrorKind::kUnsupported, "{}: holds \"{}\" (general.type), expected a model; pass the model's own file",
         origin, file.get_string("general.type"));
  const std::string& arch = file.get_string("general.architecture");
  if (arch != "llama" && arch != "qwen2" && arch != "qwen3")
    fail(ErrorKind::kUnsupported, "{}: architecture \"{}\"; supported: llama, qwen2, qwen3", origin, arch);
  const auto dimension = [&](const std::string& part) { return file.get_int(arch + "." + part, 1, kMaxDimension); };
  const GgufTensor* embedding = file.find_tensor("token_embd.weight");
  if (embedding == nullptr || embedding->shape.size() != 2)
    fail(ErrorKind::kBadFile, "{}: token_embd.weight: expected a matrix", origin);
  ModelConfig c;
  c.family = arch;
  c.vocabulary = embedding->shape[0];
  c.hidden = dimension("embedding_length");
  c.layers = file.get_int(arch + ".block_count", 1, 4096);
  c.heads = same_in_every_layer(file, arch + ".attention.head_count", c.layers);
  const std::string kv_heads = arch + ".attention.head_count_kv";
  c.kv_heads = file.find(kv_heads) == nullptr ? c.heads : same_in_every_layer(file, kv_heads, c.layers);
  c.intermediate = same_in_every_layer(file, arch + ".feed_forward_length", c.layers);
  c.context_length = file.get_int(arch + ".context_length", 1, int64_t{1} << 40);
  c.head_dim = file.find(arch + ".attention.key_length") == nullptr ? std::max<int64_t>(1, c.hidden / c.heads)
                                                                    : dimension("attention.key_length");
  const std::string epsilon = arch + ".attention.layer_norm_rms_epsilon";
  if (file.find(epsilon) == nullptr && file.find(arch + ".attention.layer_norm_epsilon") != nullptr)
    fail(ErrorKind::kUnsupported, "{}: {}.attention.layer_norm_epsilon in place of {}; supported: RMSNorm", origin,
         arch, epsilon);
  c.norm_epsilon = positive(file.get_number(epsilon), epsilon, origin);
  c.tied_embedding = file.find_tensor("output.weight") == nullptr;
  c.qkv_bias = file.find_tensor("blk.0.attn_q.bias") != nullptr;
  c.attn_output_bias = file.find_tensor("blk.0.attn_output.bias") != nullptr;
  c.ffn_bias = file.find_tensor("blk.0.ffn_down.bias") != nullptr;
  c.qk_norm = file.find_tensor("blk.0.attn_q_norm.weight") != nullptr;
  c.rope = read_rope(file, c);
  check_config(c, origin);
  refuse_foreign_gguf_keys(file, c);
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
