#pragma once

// Passes over a GPU's memory that training makes in one where a chain of plain operations makes three to ten; rows in
// bfloat16, sums in float32. Pointers alone, so that the compiler of CUDA sees nothing of libtorch. Every pointer is to
// the GPU's memory, aligned to 16 bytes; `stream` is a cudaStream_t. None waits for the GPU.

#include <cstdint>

namespace vernier::gpu {

/// y = x / sqrt(mean(x^2) + epsilon) * weight, and 1 / sqrt(...) of each row.
/// @shape x, y: [rows, width], width a multiple of 4; y: bfloat16
void rms_norm(const float* x, const float* weight, void* y, float* scale, int64_t rows, int64_t width, float epsilon,
              void* stream);

/// Its gradient by x, and sums over rows of that by `weight`, one row of `sums` for each block of the GPU's threads.
/// @return false, and nothing done, where a row is too wide
constexpr int64_t kNormBlocks = 528;
bool rms_norm_gradient(const float* x, const float* weight, const float* scale, const void* by_y, float* by_x,
                       float* sums, int64_t rows, int64_t width, void* stream);

/// What attention reads of heads that lie beside each other: queries, keys and values, of which the first two are turned.
struct Heads {
  int64_t tokens = 0, time = 0, queries = 0, kv = 0, width = 0;  ///< width a multiple of 16
  const float *cos = nullptr, *sin = nullptr;                    ///< [time, width], both halves alike
};

/// @shape rows: bfloat16 [tokens, (queries + 2 kv) width]; q, k, v: [tokens, queries, width], each key and value once for
/// every query head that reads it
void turned_heads(const Heads& heads, const void* rows, void* q, void* k, void* v, void* stream);

/// A gradient that lies in memory as attention left it.
struct HeadsGradient {
  const void* data = nullptr;
  int64_t text = 0, head = 0, time = 0;  ///< strides in numbers, a multiple of 8; width has stride 1
};
void turned_heads_gradient(const Heads& heads, const HeadsGradient& q, const HeadsGradient& k, const HeadsGradient& v,
                           void* by_rows, void* stream);

/// silu(gate) * up of `count` numbers in bfloat16, a multiple of 8.
void gated_silu(const void* gate, const void* up, void* out, int64_t count, void* stream);
void gated_silu_gradient(const void* gate, const void* up, const void* by_out, void* by_gate, void* by_up,
                         int64_t count, void* stream);

/// KL(teacher || own) of each row of logits, and unless `excess` is null what the own shares exceed the teacher's by: the
/// gradient by the own logits. @shape bfloat16 [rows, classes], classes a multiple of 8
void distilled_rows(const void* own, const void* teacher, float* kl, void* excess, int64_t rows, int64_t classes,
                    void* stream);
/// rows *= factors, row by row, in place.
void scale_rows(void* rows, const float* factors, int64_t count, int64_t classes, void* stream);

/// Tokens, of which those `drawn` are drawn from the answers at the place before: the first class at which the running sum
/// of shares reaches `until`. @shape ids, out: int64 [texts, time]; logits: bfloat16 [texts, time, classes]
void drawn_tokens(const int64_t* ids, const void* logits, const bool* drawn, const float* until, int64_t* out,
                  int64_t texts, int64_t time, int64_t classes, void* stream);

/// One step of AdamW (src/finetune/adamw.h) of `count` numbers.
struct AdamWNumbers {
  float *value = nullptr, *first = nullptr, *second = nullptr;
  const float* gradient = nullptr;
  const float* widths = nullptr;  ///< null: 1
  const float* factor = nullptr;  ///< of the gradient, one number; null: 1
  int64_t count = 0;
};
struct AdamWRates {
  float beta_1 = 0, beta_2 = 0, epsilon = 0;
  float kept = 1;            ///< of a value, which decays
  float rate = 0;            ///< divided by the first moment's correction
  float root_of_second = 1;  ///< of the second moment's correction
};
void adamw_step(const AdamWNumbers& numbers, const AdamWRates& rates, void* stream);

}  // namespace vernier::gpu
