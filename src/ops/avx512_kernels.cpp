#include "ops/avx512_kernels.h"

#include <cstring>

#include "ops/kernels.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define VERNIER_AVX512_KERNELS
#include <immintrin.h>
#endif

namespace vernier {

#ifdef VERNIER_AVX512_KERNELS

// Only what is in between is compiled for these instructions: nothing of the standard library, whose inline functions
// the linker would share with files that run everywhere. No instruction of bfloat16 comes about but by its intrinsics.
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma")

namespace {

// Unrolled by pragma: only then are the sums' places in the array registers from the start.
template <class Arithmetic, int kVectors>
[[gnu::always_inline]] inline void multiply_vectors(const uint32_t* a, int64_t a_stride, const uint32_t* b,
                                                    int64_t b_stride, int64_t words, float* c, int64_t c_stride,
                                                    bool accumulate) {
  constexpr int kRows = Avx512Kernels::kRows;
  __m512 sums[kRows][kVectors];
#pragma GCC unroll 6
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) sums[r][v] = _mm512_setzero_ps();
  for (int64_t w = 0; w < words; ++w, b += b_stride) {
    __m512i right[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) right[v] = _mm512_loadu_si512(b + 16 * v);
#pragma GCC unroll 6
    for (int r = 0; r < kRows; ++r) {
      const __m512i left = _mm512_set1_epi32(static_cast<int>(a[r * a_stride + w]));
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sums[r][v] = Arithmetic::add(sums[r][v], left, right[v]);
    }
  }
#pragma GCC unroll 6
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      float* place = c + r * c_stride + 16 * v;
      _mm512_storeu_ps(place, accumulate ? _mm512_add_ps(_mm512_loadu_ps(place), sums[r][v]) : sums[r][v]);
    }
}

struct Float32 {
  [[gnu::always_inline]] static __m512 add(__m512 sum, __m512i a, __m512i b) {
    return _mm512_fmadd_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b), sum);
  }
};

template <class Arithmetic>
[[gnu::always_inline]] inline void multiply_columns(const uint32_t* a, int64_t a_stride, const uint32_t* b,
                                                    int64_t b_stride, int64_t words, int64_t columns, float* c,
                                                    int64_t c_stride, bool accumulate) {
  switch (columns / Avx512Kernels::kVector) {
    case 1: return multiply_vectors<Arithmetic, 1>(a, a_stride, b, b_stride, words, c, c_stride, accumulate);
    case 2: return multiply_vectors<Arithmetic, 2>(a, a_stride, b, b_stride, words, c, c_stride, accumulate);
    case 3: return multiply_vectors<Arithmetic, 3>(a, a_stride, b, b_stride, words, c, c_stride, accumulate);
    default: return multiply_vectors<Arithmetic, 4>(a, a_stride, b, b_stride, words, c, c_stride, accumulate);
  }
}

void multiply_float32(const uint32_t* a, int64_t a_stride, const uint32_t* b, int64_t b_stride, int64_t words,
                      int64_t columns, float* c, int64_t c_stride, bool accumulate) {
  multiply_columns<Float32>(a, a_stride, b, b_stride, words, columns, c, c_stride, accumulate);
}

void copy_row(const float* x, int64_t n, uint32_t* words) { std::memcpy(words, x, static_cast<size_t>(n) * 4); }

void copy_rows(const float* const* rows, int64_t n, uint32_t* words) { copy_row(rows[0], n, words); }

struct BFloat16 {
  [[gnu::always_inline]] static __m512 add(__m512 sum, __m512i a, __m512i b) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
  }
};

void multiply_bfloat16(const uint32_t* a, int64_t a_stride, const uint32_t* b, int64_t b_stride, int64_t words,
                       int64_t columns, float* c, int64_t c_stride, bool accumulate) {
  multiply_columns<BFloat16>(a, a_stride, b, b_stride, words, columns, c, c_stride, accumulate);
}

[[gnu::always_inline]] inline __m256i narrow(__m512 x) { return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x)); }

void narrow_row(const float* x, int64_t n, uint32_t* words) {
  for (int64_t i = 0; i < n; i += 16)
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(words + i / 2), narrow(_mm512_loadu_ps(x + i)));
}

void narrow_rows(const float* const* rows, int64_t n, uint32_t* words) {
  for (int64_t i = 0; i < n; i += 16) {
    const __m512i low = _mm512_cvtepu16_epi32(narrow(_mm512_loadu_ps(rows[0] + i)));
    const __m512i high = _mm512_cvtepu16_epi32(narrow(_mm512_loadu_ps(rows[1] + i)));
    _mm512_storeu_si512(words + i, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
  }
}

/// Which of the 16 places from i on lie inside [first, last).
[[gnu::always_inline]] inline __mmask16 lanes(int64_t i, int64_t first, int64_t last) {
  uint32_t mask = last - i >= 16 ? 0xFFFFu : last <= i ? 0u : (1u << (last - i)) - 1;
  if (first > i) mask = first - i >= 16 ? 0u : mask >> (first - i) << (first - i);
  return static_cast<__mmask16>(mask);
}

/// e^x with 2^x = 2^n (1 + r q(r)), |r| <= 1/2: within 3e-6, a thousandth of what rounding to bfloat16 does afterwards.
[[gnu::always_inline]] inline __m512 coarse_exp2(__m512 x) {
  const __m512 n = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 r = _mm512_sub_ps(x, n);
  __m512 p = _mm512_set1_ps(9.582852944731712e-3f);
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(5.590642616152763e-2f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(2.402409911155701e-1f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(6.931241750717163e-1f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
  return _mm512_scalef_ps(p, n);
}

// Values are read 16 at a time before half as many words are written over them.
float exp_row_bfloat16(float* s, int64_t size, int64_t first, int64_t last, const float* beside) {
  __m512 most = _mm512_set1_ps(beside != nullptr ? *beside : s[first]);
  for (int64_t i = first / 16 * 16; i < last; i += 16)
    most = _mm512_mask_max_ps(most, lanes(i, first, last), most, _mm512_loadu_ps(s + i));
  const __m512 log2e = _mm512_set1_ps(1.44269504f);
  const __m512 shift = _mm512_set1_ps(-1.44269504f * _mm512_reduce_max_ps(most));
  __m512 sums = _mm512_setzero_ps();
  if (beside != nullptr)
    sums = _mm512_maskz_mov_ps(1, coarse_exp2(_mm512_fmadd_ps(_mm512_set1_ps(*beside), log2e, shift)));
  auto* words = reinterpret_cast<uint32_t*>(s);
  for (int64_t i = 0; i < size; i += 16) {
    const __m512 e =
        _mm512_maskz_mov_ps(lanes(i, first, last), coarse_exp2(_mm512_fmadd_ps(_mm512_loadu_ps(s + i), log2e, shift)));
    sums = _mm512_add_ps(sums, e);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(words + i / 2), narrow(e));
  }
  return _mm512_reduce_add_ps(sums);
}

/// As exact as coarse_exp2; the reciprocal is within 2^-14.
void silu_multiply_bfloat16(const float* gate, const float* up, int64_t n, float* out) {
  const __m512 minus_log2e = _mm512_set1_ps(-1.44269504f), one = _mm512_set1_ps(1.0f);
  for (int64_t i = 0; i < n; i += 16) {
    const __m512 x = _mm512_loadu_ps(gate + i);
    const __m512 sigmoid = _mm512_rcp14_ps(_mm512_add_ps(one, coarse_exp2(_mm512_mul_ps(x, minus_log2e))));
    _mm512_storeu_ps(out + i, _mm512_mul_ps(_mm512_mul_ps(x, sigmoid), _mm512_loadu_ps(up + i)));
  }
}

/// The upper tail by Abramowitz and Stegun 7.1.26, within 1e-7; its reciprocal is within 2^-14.
void gelu_bfloat16(const float* values, int64_t n, float* out) {
  const __m512 one = _mm512_set1_ps(1.0f), minus_half_log2e = _mm512_set1_ps(-0.72134752f);
  for (int64_t i = 0; i < n; i += 16) {
    const __m512 x = _mm512_loadu_ps(values + i);
    // t = 1 / (1 + 0.3275911 |x| / sqrt 2); coefficients are halved
    const __m512 t = _mm512_rcp14_ps(_mm512_fmadd_ps(_mm512_abs_ps(x), _mm512_set1_ps(0.23164189f), one));
    __m512 p = _mm512_set1_ps(0.5307027145f);
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(-0.7265760135f));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(0.7107068705f));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(-0.142248368f));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(0.127414796f));
    const __m512 e = coarse_exp2(_mm512_mul_ps(_mm512_mul_ps(x, x), minus_half_log2e));
    const __m512 tail = _mm512_mul_ps(_mm512_mul_ps(p, t), e);
    const __mmask16 above = _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_GT_OQ);
    _mm512_storeu_ps(out + i, _mm512_mul_ps(x, _mm512_mask_sub_ps(tail, above, one, tail)));
  }
}

}  // namespace

#pragma GCC pop_options

const Avx512Kernels* avx512_kernels(ComputeType type) {
  static const Avx512Kernels float32{1, multiply_float32, copy_row, copy_rows, exp_row, nullptr, nullptr};
  static const Avx512Kernels bfloat16{
      2, multiply_bfloat16, narrow_row, narrow_rows, exp_row_bfloat16, silu_multiply_bfloat16, gelu_bfloat16};
  static const bool has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                                 __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  static const bool has_bfloat16 = has_avx512 && __builtin_cpu_supports("avx512bf16");
  if (type == ComputeType::kBFloat16) return has_bfloat16 ? &bfloat16 : nullptr;
  return has_avx512 ? &float32 : nullptr;
}

#else

const Avx512Kernels* avx512_kernels(ComputeType) { return nullptr; }

#endif

}  // namespace vernier
