#include "ops/gpu_kernels.h"

#include <cuda_bf16.h>
#include <cuda_runtime.h>

namespace vernier::gpu {

namespace {

constexpr int kWarp = 32, kThreads = 256, kMostShared = 48 << 10;
constexpr unsigned kAll = 0xffffffffu;

/// Eight numbers in bfloat16, as they are read at once.
struct Eight {
  float value[8];
};

__device__ Eight load(const __nv_bfloat16* from) {
  const uint4 raw = *reinterpret_cast<const uint4*>(from);
  const auto* pairs = reinterpret_cast<const __nv_bfloat162*>(&raw);
  Eight out;
  for (int i = 0; i < 4; ++i) {
    const float2 pair = __bfloat1622float2(pairs[i]);
    out.value[2 * i] = pair.x;
    out.value[2 * i + 1] = pair.y;
  }
  return out;
}

__device__ void store(__nv_bfloat16* to, const Eight& x) {
  uint4 raw;
  auto* pairs = reinterpret_cast<__nv_bfloat162*>(&raw);
  for (int i = 0; i < 4; ++i) pairs[i] = __floats2bfloat162_rn(x.value[2 * i], x.value[2 * i + 1]);
  *reinterpret_cast<uint4*>(to) = raw;
}

__device__ float4 load_four(const __nv_bfloat16* from) {
  const uint2 raw = *reinterpret_cast<const uint2*>(from);
  const auto* pairs = reinterpret_cast<const __nv_bfloat162*>(&raw);
  const float2 a = __bfloat1622float2(pairs[0]), b = __bfloat1622float2(pairs[1]);
  return {a.x, a.y, b.x, b.y};
}

__device__ void store_four(__nv_bfloat16* to, const float4& x) {
  uint2 raw;
  auto* pairs = reinterpret_cast<__nv_bfloat162*>(&raw);
  pairs[0] = __floats2bfloat162_rn(x.x, x.y);
  pairs[1] = __floats2bfloat162_rn(x.z, x.w);
  *reinterpret_cast<uint2*>(to) = raw;
}

__device__ float warp_sum(float x) {
  for (int apart = kWarp / 2; apart > 0; apart /= 2) x += __shfl_xor_sync(kAll, x, apart);
  return x;
}

__device__ float warp_most(float x) {
  for (int apart = kWarp / 2; apart > 0; apart /= 2) x = fmaxf(x, __shfl_xor_sync(kAll, x, apart));
  return x;
}

/// Of all threads of a block, known to all of them; `memory` is of a number for each warp and free afterwards.
template <class Fold>
__device__ float over_block(float x, float* memory, float nothing, const Fold& fold) {
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp, warps = blockDim.x / kWarp;
  x = fold(x);
  if (lane == 0) memory[warp] = x;
  __syncthreads();
  x = fold(lane < warps ? memory[lane] : nothing);
  __syncthreads();
  return x;
}
__device__ float block_sum(float x, float* memory) {
  return over_block(x, memory, 0.0f, [](float own) { return warp_sum(own); });
}
__device__ float block_most(float x, float* memory) {
  return over_block(x, memory, -INFINITY, [](float own) { return warp_most(own); });
}

__device__ float dot(const float4& a, const float4& b) { return a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w; }
__device__ float4 times(const float4& a, const float4& b) { return {a.x * b.x, a.y * b.y, a.z * b.z, a.w * b.w}; }
__device__ float4 times(const float4& a, float b) { return {a.x * b, a.y * b, a.z * b, a.w * b}; }
__device__ float4 plus(const float4& a, const float4& b) { return {a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w}; }
__device__ const float4& four(const float* from) { return *reinterpret_cast<const float4*>(from); }
__device__ float4& four(float* from) { return *reinterpret_cast<float4*>(from); }

/// A warp a row.
__global__ void norm_rows(const float* x, const float* weight, __nv_bfloat16* y, float* scale, int64_t rows,
                          int64_t width, float epsilon) {
  const int64_t row = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) / kWarp;
  if (row >= rows) return;
  const int lane = threadIdx.x % kWarp;
  const float* own = x + row * width;
  float sum = 0;
  for (int64_t c = 4 * lane; c < width; c += 4 * kWarp) sum += dot(four(own + c), four(own + c));
  const float factor = rsqrtf(warp_sum(sum) / static_cast<float>(width) + epsilon);
  for (int64_t c = 4 * lane; c < width; c += 4 * kWarp)
    store_four(y + row * width + c, times(times(four(own + c), factor), four(weight + c)));
  if (lane == 0) scale[row] = factor;
}

/// A warp a row, one after the other; sums by column stay in the block's own memory, a row of them for each warp.
__global__ void norm_rows_gradient(const float* x, const float* weight, const float* scale, const __nv_bfloat16* by_y,
                                   float* by_x, float* sums, int64_t rows, int64_t width) {
  extern __shared__ float by_column[];
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp, warps = blockDim.x / kWarp;
  float* own = by_column + warp * width;
  for (int64_t c = 4 * lane; c < width; c += 4 * kWarp) four(own + c) = {0, 0, 0, 0};
  for (int64_t row = static_cast<int64_t>(blockIdx.x) * warps + warp; row < rows;
       row += static_cast<int64_t>(gridDim.x) * warps) {
    const float* in = x + row * width;
    const __nv_bfloat16* given = by_y + row * width;
    float along = 0;
    for (int64_t c = 4 * lane; c < width; c += 4 * kWarp)
      along += dot(times(load_four(given + c), four(weight + c)), four(in + c));
    const float factor = scale[row];
    const float back = -warp_sum(along) * factor * factor * factor / static_cast<float>(width);
    for (int64_t c = 4 * lane; c < width; c += 4 * kWarp) {
      const float4 dy = load_four(given + c), at = four(in + c);
      four(by_x + row * width + c) = plus(times(times(dy, four(weight + c)), factor), times(at, back));
      four(own + c) = plus(four(own + c), times(times(dy, at), factor));
    }
  }
  __syncthreads();
  for (int64_t c = threadIdx.x; c < width; c += blockDim.x) {
    float sum = 0;
    for (int w = 0; w < warps; ++w) sum += by_column[w * width + c];
    sums[blockIdx.x * width + c] = sum;
  }
}

/// A thread's part of a head: eight numbers and those half a head on, which are turned with them.
struct TurnedPart {
  int64_t token, head, column;
};
__device__ bool part_of_thread(const Heads& h, TurnedPart& part) {
  const int64_t per_head = h.width / 16, heads = h.queries + 2 * h.kv;
  const int64_t index = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  part = {index / (heads * per_head), index / per_head % heads, index % per_head * 8};
  return part.token < h.tokens;
}

/// By the angles of the token's place; back by -1.
__device__ void turn(const Heads& h, const TurnedPart& part, float way, Eight& a, Eight& b) {
  if (part.head >= h.queries + h.kv) return;
  const int64_t at = part.token % h.time * h.width + part.column;
  for (int i = 0; i < 8; ++i) {
    const float cos = h.cos[at + i], sin = way * h.sin[at + i], x = a.value[i];
    a.value[i] = x * cos - b.value[i] * sin;
    b.value[i] = b.value[i] * cos + x * sin;
  }
}

__global__ void turn_heads(Heads h, const __nv_bfloat16* rows, __nv_bfloat16* q, __nv_bfloat16* k, __nv_bfloat16* v) {
  TurnedPart part;
  if (!part_of_thread(h, part)) return;
  const int64_t half = h.width / 2, shared = h.queries / h.kv;
  const __nv_bfloat16* from = rows + (part.token * (h.queries + 2 * h.kv) + part.head) * h.width + part.column;
  Eight a = load(from), b = load(from + half);
  turn(h, part, 1, a, b);
  const auto write = [&](__nv_bfloat16* to, int64_t head) {
    __nv_bfloat16* at = to + (part.token * h.queries + head) * h.width + part.column;
    store(at, a);
    store(at + half, b);
  };
  if (part.head < h.queries) return write(q, part.head);
  const int64_t kv = (part.head - h.queries) % h.kv;
  for (int64_t s = 0; s < shared; ++s) write(part.head < h.queries + h.kv ? k : v, kv * shared + s);
}

__global__ void turn_heads_back(Heads h, HeadsGradient q, HeadsGradient k, HeadsGradient v, __nv_bfloat16* by_rows) {
  TurnedPart part;
  if (!part_of_thread(h, part)) return;
  const int64_t half = h.width / 2, shared = part.head < h.queries ? 1 : h.queries / h.kv;
  const HeadsGradient& from = part.head < h.queries ? q : part.head < h.queries + h.kv ? k : v;
  const int64_t first = part.head < h.queries ? part.head : (part.head - h.queries) % h.kv * shared;
  Eight a{}, b{};
  for (int64_t s = 0; s < shared; ++s) {
    const auto* at = static_cast<const __nv_bfloat16*>(from.data) + part.token / h.time * from.text +
                     (first + s) * from.head + part.token % h.time * from.time + part.column;
    const Eight more_a = load(at), more_b = load(at + half);
    for (int i = 0; i < 8; ++i) {
      a.value[i] += more_a.value[i];
      b.value[i] += more_b.value[i];
    }
  }
  turn(h, part, -1, a, b);
  __nv_bfloat16* to = by_rows + (part.token * (h.queries + 2 * h.kv) + part.head) * h.width + part.column;
  store(to, a);
  store(to + half, b);
}

__device__ float sigmoid(float x) { return 1 / (1 + __expf(-x)); }

__global__ void gate(const __nv_bfloat16* gates, const __nv_bfloat16* ups, __nv_bfloat16* out, int64_t count) {
  const int64_t at = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * 8;
  if (at >= count) return;
  const Eight g = load(gates + at), u = load(ups + at);
  Eight y;
  for (int i = 0; i < 8; ++i) y.value[i] = g.value[i] * sigmoid(g.value[i]) * u.value[i];
  store(out + at, y);
}

__global__ void gate_gradient(const __nv_bfloat16* gates, const __nv_bfloat16* ups, const __nv_bfloat16* by_out,
                              __nv_bfloat16* by_gate, __nv_bfloat16* by_up, int64_t count) {
  const int64_t at = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * 8;
  if (at >= count) return;
  const Eight g = load(gates + at), u = load(ups + at), dy = load(by_out + at);
  Eight dg, du;
  for (int i = 0; i < 8; ++i) {
    const float s = sigmoid(g.value[i]), silu = g.value[i] * s;
    dg.value[i] = dy.value[i] * u.value[i] * (s + silu * (1 - s));
    du.value[i] = dy.value[i] * silu;
  }
  store(by_gate + at, dg);
  store(by_up + at, du);
}

/// The logarithm of a sum of exponentials that goes on.
struct LogSum {
  float most = -INFINITY, sum = 0;
  __device__ void add(float x) {
    if (x > most) {
      sum *= __expf(most - x);
      most = x;
    }
    sum += __expf(x - most);
  }
};

__device__ float block_log_sum(const LogSum& own, float* memory) {
  const float most = block_most(own.most, memory);
  const float sum = block_sum(own.sum > 0 ? own.sum * __expf(own.most - most) : 0.0f, memory);
  return most + __logf(sum);
}

/// A block a row.
__global__ void distill_rows(const __nv_bfloat16* own, const __nv_bfloat16* teacher, float* kl, __nv_bfloat16* excess,
                             int64_t classes) {
  __shared__ float memory[kThreads / kWarp];
  const int64_t begin = static_cast<int64_t>(blockIdx.x) * classes;
  LogSum of_own, of_teacher;
  for (int64_t c = 8 * threadIdx.x; c < classes; c += 8 * kThreads) {
    const Eight x = load(own + begin + c), t = load(teacher + begin + c);
    for (int i = 0; i < 8; ++i) {
      of_own.add(x.value[i]);
      of_teacher.add(t.value[i]);
    }
  }
  const float own_sum = block_log_sum(of_own, memory), teacher_sum = block_log_sum(of_teacher, memory);
  float sum = 0;
  for (int64_t c = 8 * threadIdx.x; c < classes; c += 8 * kThreads) {
    const Eight x = load(own + begin + c), t = load(teacher + begin + c);
    Eight over;
    for (int i = 0; i < 8; ++i) {
      const float log_p = t.value[i] - teacher_sum, log_q = x.value[i] - own_sum, p = __expf(log_p);
      sum += p * (log_p - log_q);
      over.value[i] = __expf(log_q) - p;
    }
    if (excess != nullptr) store(excess + begin + c, over);
  }
  sum = block_sum(sum, memory);
  if (threadIdx.x == 0) kl[blockIdx.x] = sum;
}

__global__ void scale_each_row(__nv_bfloat16* rows, const float* factors, int64_t classes) {
  const float factor = factors[blockIdx.x];
  for (int64_t c = 8 * threadIdx.x; c < classes; c += 8 * kThreads) {
    __nv_bfloat16* at = rows + static_cast<int64_t>(blockIdx.x) * classes + c;
    Eight x = load(at);
    for (float& value : x.value) value *= factor;
    store(at, x);
  }
}

/// A block a token.
__global__ void draw_tokens(const int64_t* ids, const __nv_bfloat16* logits, const bool* drawn, const float* until,
                            int64_t* out, int64_t time, int64_t classes) {
  __shared__ float memory[kThreads / kWarp], sums[kThreads];
  __shared__ int found;
  const int64_t place = blockIdx.x;
  if (place % time == 0 || !drawn[place]) {
    if (threadIdx.x == 0) out[place] = ids[place];
    return;
  }
  const __nv_bfloat16* row = logits + (place - 1) * classes;
  float most = -INFINITY;
  for (int64_t c = threadIdx.x; c < classes; c += kThreads) most = fmaxf(most, __bfloat162float(row[c]));
  most = block_most(most, memory);
  // Classes that follow each other, so that the thread that holds the one is known by the sums before it.
  const int64_t each = (classes + kThreads - 1) / kThreads;
  const int64_t begin = min(each * threadIdx.x, classes), end = min(begin + each, classes);
  float own = 0;
  for (int64_t c = begin; c < end; ++c) own += __expf(__bfloat162float(row[c]) - most);
  sums[threadIdx.x] = own;
  __syncthreads();
  for (int apart = 1; apart < kThreads; apart *= 2) {
    const float before = threadIdx.x >= apart ? sums[threadIdx.x - apart] : 0.0f;
    __syncthreads();
    sums[threadIdx.x] += before;
    __syncthreads();
  }
  const float target = until[place] * sums[kThreads - 1];
  // Sums of that many numbers are off in their last bits: where none reaches the share it is the last class, and where two
  // threads do the first.
  if (threadIdx.x == 0) found = target > 0 ? static_cast<int>(classes) - 1 : 0;
  __syncthreads();
  float sum = threadIdx.x > 0 ? sums[threadIdx.x - 1] : 0.0f;
  if (sum < target && target <= sums[threadIdx.x] && begin < end) {
    int64_t c = begin;
    for (; c + 1 < end; ++c) {
      sum += __expf(__bfloat162float(row[c]) - most);
      if (sum >= target) break;
    }
    atomicMin(&found, static_cast<int>(c));
  }
  __syncthreads();
  if (threadIdx.x == 0) out[place] = found;
}

__global__ void step_of_adamw(AdamWNumbers n, AdamWRates r) {
  const int64_t at = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (at >= n.count) return;
  const float gradient = n.gradient[at] * (n.factor != nullptr ? *n.factor : 1.0f);
  const float first = r.beta_1 * n.first[at] + (1 - r.beta_1) * gradient;
  const float second = r.beta_2 * n.second[at] + (1 - r.beta_2) * gradient * gradient;
  const float width = n.widths != nullptr ? n.widths[at] : 1.0f;
  n.first[at] = first;
  n.second[at] = second;
  n.value[at] = r.kept * n.value[at] - r.rate * width * first / (sqrtf(second) / r.root_of_second + r.epsilon);
}

unsigned blocks_for(int64_t threads) { return static_cast<unsigned>((threads + kThreads - 1) / kThreads); }
cudaStream_t as_stream(void* stream) { return static_cast<cudaStream_t>(stream); }
const __nv_bfloat16* in_bf16(const void* data) { return static_cast<const __nv_bfloat16*>(data); }
__nv_bfloat16* in_bf16(void* data) { return static_cast<__nv_bfloat16*>(data); }

}  // namespace

void rms_norm(const float* x, const float* weight, void* y, float* scale, int64_t rows, int64_t width, float epsilon,
              void* stream) {
  norm_rows<<<blocks_for(rows * kWarp), kThreads, 0, as_stream(stream)>>>(x, weight, in_bf16(y), scale, rows, width,
                                                                          epsilon);
}

bool rms_norm_gradient(const float* x, const float* weight, const float* scale, const void* by_y, float* by_x,
                       float* sums, int64_t rows, int64_t width, void* stream) {
  const auto row_bytes = static_cast<int64_t>(sizeof(float)) * width;
  const int64_t warps = min(static_cast<int64_t>(kThreads / kWarp), kMostShared / row_bytes);
  if (warps < 1) return false;
  norm_rows_gradient<<<kNormBlocks, static_cast<unsigned>(warps * kWarp), static_cast<size_t>(warps * row_bytes),
                       as_stream(stream)>>>(x, weight, scale, in_bf16(by_y), by_x, sums, rows, width);
  return true;
}

void turned_heads(const Heads& heads, const void* rows, void* q, void* k, void* v, void* stream) {
  const int64_t threads = heads.tokens * (heads.queries + 2 * heads.kv) * (heads.width / 16);
  turn_heads<<<blocks_for(threads), kThreads, 0, as_stream(stream)>>>(heads, in_bf16(rows), in_bf16(q), in_bf16(k),
                                                                      in_bf16(v));
}

void turned_heads_gradient(const Heads& heads, const HeadsGradient& q, const HeadsGradient& k, const HeadsGradient& v,
                           void* by_rows, void* stream) {
  const int64_t threads = heads.tokens * (heads.queries + 2 * heads.kv) * (heads.width / 16);
  turn_heads_back<<<blocks_for(threads), kThreads, 0, as_stream(stream)>>>(heads, q, k, v, in_bf16(by_rows));
}

void gated_silu(const void* gates, const void* up, void* out, int64_t count, void* stream) {
  gate<<<blocks_for(count / 8), kThreads, 0, as_stream(stream)>>>(in_bf16(gates), in_bf16(up), in_bf16(out), count);
}

void gated_silu_gradient(const void* gates, const void* up, const void* by_out, void* by_gate, void* by_up,
                         int64_t count, void* stream) {
  gate_gradient<<<blocks_for(count / 8), kThreads, 0, as_stream(stream)>>>(in_bf16(gates), in_bf16(up), in_bf16(by_out),
                                                                           in_bf16(by_gate), in_bf16(by_up), count);
}

void distilled_rows(const void* own, const void* teacher, float* kl, void* excess, int64_t rows, int64_t classes,
                    void* stream) {
  distill_rows<<<static_cast<unsigned>(rows), kThreads, 0, as_stream(stream)>>>(in_bf16(own), in_bf16(teacher), kl,
                                                                                in_bf16(excess), classes);
}

void scale_rows(void* rows, const float* factors, int64_t count, int64_t classes, void* stream) {
  scale_each_row<<<static_cast<unsigned>(count), kThreads, 0, as_stream(stream)>>>(in_bf16(rows), factors, classes);
}

void drawn_tokens(const int64_t* ids, const void* logits, const bool* drawn, const float* until, int64_t* out,
                  int64_t texts, int64_t time, int64_t classes, void* stream) {
  draw_tokens<<<static_cast<unsigned>(texts * time), kThreads, 0, as_stream(stream)>>>(ids, in_bf16(logits), drawn,
                                                                                       until, out, time, classes);
}

void adamw_step(const AdamWNumbers& numbers, const AdamWRates& rates, void* stream) {
  step_of_adamw<<<blocks_for(numbers.count), kThreads, 0, as_stream(stream)>>>(numbers, rates);
}

}  // namespace vernier::gpu
