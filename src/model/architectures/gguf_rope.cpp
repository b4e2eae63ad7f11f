#include <cmath>
#include <cstring>

#include "base/fail.h"
#include "model/architectures/decoder.h"

namespace vernier {

double llama_cpp_yarn_magnitude(double factor) { return factor > 1 ? 0.1 * std::log(factor) + 1 : 1; }

RopeConfig read_gguf_rope(const GgufFile& file, const ModelConfig& config) {
  RopeConfig rope;
  const std::string origin = "load: " + file.path().string();
  const int64_t head_dim = config.layer(0).attention.head_dim;
  const std::string prefix = file.get_string("general.architecture") + ".rope.";
  const auto key = [&](const char* part) { return prefix + part; };
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
                                : file.get_int(key("scaling.original_context_length"), 1, kMaxContext);
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

}  // namespace vernier
