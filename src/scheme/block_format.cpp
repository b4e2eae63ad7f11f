#include "scheme/block_format.h"

namespace vernier {

std::span<const BlockFormat> block_formats() {
  static constexpr BlockFormat kFormats[] = {
      {"f32", 0, 1, 4, encode_f32, decode_f32},
      {"f16", 1, 1, 2, encode_f16, decode_f16},
      {"bf16", 30, 1, 2, encode_bf16, decode_bf16},
      {"gguf:q8_0", 8, 32, 34, encode_q8_0, decode_q8_0},
      {"gguf:q6_k", 14, 256, 210, encode_q6_k, decode_q6_k},
      {"gguf:q5_1", 7, 32, 24, encode_q5_1, decode_q5_1},
      {"gguf:q5_k", 13, 256, 176, encode_q5_k, decode_q5_k},
      {"gguf:q5_0", 6, 32, 22, encode_q5_0, decode_q5_0},
      {"gguf:q4_1", 3, 32, 20, encode_q4_1, decode_q4_1},
      {"gguf:q4_k", 12, 256, 144, encode_q4_k, decode_q4_k},
      {"gguf:q4_0", 2, 32, 18, encode_q4_0, decode_q4_0},
      {"gguf:q3_k", 11, 256, 110, encode_q3_k, decode_q3_k},
      {"gguf:q2_k", 10, 256, 84, encode_q2_k, decode_q2_k},
  };
  return kFormats;
}

}  // namespace vernier
