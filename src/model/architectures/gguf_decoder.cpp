#include <algorithm>

#include "base/fail.h"
#include "model/architectures/decoder.h"

namespace vernier {

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

int64_t gguf_vocabulary(const GgufFile& file) {
  const GgufTensor* embedding = file.find_tensor("token_embd.weight");
  if (embedding == nullptr || embedding->shape.size() != 2)
    fail(ErrorKind::kBadFile, "load: {}: token_embd.weight: expected a matrix", file.path().string());
  return embedding->shape[0];
}

ModelConfig read_gguf_decoder(const GgufFile& file) {
  const std::string origin = "load: " + file.path().string();
  const std::string& arch = file.get_string("general.architecture");
  const auto dimension = [&](const std::string& part) { return file.get_int(arch + "." + part, 1, kMaxDimension); };
  ModelConfig c;
  c.vocabulary = gguf_vocabulary(file);
  c.hidden = dimension("embedding_length");
  const int64_t depth = file.get_int(arch + ".block_count", 1, kMaxLayers);
  LayerConfig layer;
  AttentionConfig& a = layer.attention;
  a.heads = same_in_every_layer(file, arch + ".attention.head_count", depth);
  const std::string kv_heads = arch + ".attention.head_count_kv";
  a.kv_heads = file.find(kv_heads) == nullptr ? a.heads : same_in_every_layer(file, kv_heads, depth);
  layer.feed_forward.intermediate = same_in_every_layer(file, arch + ".feed_forward_length", depth);
  c.context_length = file.get_int(arch + ".context_length", 1, kMaxContext);
  a.head_dim = file.find(arch + ".attention.key_length") == nullptr ? std::max<int64_t>(1, c.hidden / a.heads)
                                                                    : dimension("attention.key_length");
  const std::string epsilon = arch + ".attention.layer_norm_rms_epsilon";
  if (file.find(epsilon) == nullptr && file.find(arch + ".attention.layer_norm_epsilon") != nullptr)
    fail(ErrorKind::kUnsupported, "{}: {}.attention.layer_norm_epsilon in place of {}; supported: RMSNorm", origin,
         arch, epsilon);
  layer.norm.epsilon = positive(file.get_number(epsilon), epsilon, origin);
  c.output_norm = layer.norm;
  const auto has = [&](const char* name) { return file.find_tensor(name) != nullptr; };
  c.tied_embedding = !has("output.weight");
  a.qkv_bias = has("blk.0.attn_q.bias");
  a.output_bias = has("blk.0.attn_output.bias");
  layer.feed_forward.bias = has("blk.0.ffn_down.bias");
  if (has("blk.0.attn_q_norm.weight")) a.qk_norm = AttentionConfig::QkNorm::kHead;
  // llama.cpp's code for these models does not read a window: it sees everything, and so do we in its files.
  c.layers.assign(static_cast<size_t>(depth), layer);
  c.rope = read_gguf_rope(file, c);
  return c;
}

}  // namespace vernier
