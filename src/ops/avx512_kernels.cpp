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

// Words of a product in one turn of its loop, rows by two addresses: a sixteenth faster by quarters on an Intel Xeon, though
// instructions are hardly fewer (docs/performance.md).
constexpr int kTurn = 4;

/// Sums of kRows rows by kPanels times kVectors vectors, in registers over the whole contracted dimension. Unrolled by
/// pragma: only then are their places in the array registers from the start.
template <class Arithmetic, int kRows, int kPanels, int kVectors>
struct ProductSums {
  __m512 of[kRows][kPanels][kVectors];

  /// More words: a [kRows, words], of the columns [words, kVectors vectors] for each panel.
  [[gnu::always_inline]] void add(const uint32_t* a, int64_t a_stride, const uint32_t* left, const uint32_t* right,
                                  int64_t b_stride, int64_t words) {
    const uint32_t* rest = a + kHalf * a_stride;
    const auto next_word = [&] {
      ++a;
      ++rest;
      left += b_stride;
      right += b_stride;
    };
    for (; words >= kTurn; words -= kTurn) {
      // Or the compiler counts in more registers, one for each row.
      asm("" : "+r"(a), "+r"(rest), "+r"(left), "+r"(right));
#pragma GCC unroll 4
      for (int w = 0; w < kTurn; ++w, next_word()) add_word(a, rest, a_stride, left, right);
    }
    for (; words > 0; --words, next_word()) add_word(a, rest, a_stride, left, right);
  }

 private:
  static constexpr int kHalf = kRows / 2;

  [[gnu::always_inline]] void add_word(const uint32_t* a, const uint32_t* rest, int64_t a_stride, const uint32_t* left,
                                       const uint32_t* right) {
    __m512i b[kPanels][kVectors];
#pragma GCC unroll 2
    for (int p = 0; p < kPanels; ++p)
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) b[p][v] = _mm512_loadu_si512((p == 0 ? left : right) + 16 * v);
#pragma GCC unroll 6
    for (int r = 0; r < kRows; ++r) {
      const uint32_t* const place = r < kHalf ? a + r * a_stride : rest + (r - kHalf) * a_stride;
      const __m512i value = _mm512_set1_epi32(static_cast<int>(*place));
#pragma GCC unroll 2
      for (int p = 0; p < kPanels; ++p)
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) of[r][p][v] = Arithmetic::add(of[r][p][v], value, b[p][v]);
    }
  }
};

template <class Arithmetic, int kVectors>
[[gnu::always_inline]] inline void multiply_vectors(const uint32_t* a, int64_t a_stride, const uint32_t* b,
                                                    int64_t b_stride, int64_t words, const Avx512Kernels::RowSum& to) {
  constexpr int kRows = Avx512Kernels::kRows;
  ProductSums<Arithmetic, kRows, 1, kVectors> sums;
#pragma GCC unroll 6
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) sums.of[r][0][v] = _mm512_setzero_ps();
  sums.add(a, a_stride, b, b, b_stride, words);
#pragma GCC unroll 6
  for (int r = 0; r < kRows; ++r) {
    const __m512 factor = to.factors != nullptr ? _mm512_set1_ps(to.factors[r]) : _mm512_set1_ps(1.0f);
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      __m512 sum = sums.of[r][0][v];
      if (to.added != nullptr) sum = _mm512_add_ps(_mm512_loadu_ps(to.added + r * to.added_stride + 16 * v), sum);
      sum = _mm512_mul_ps(sum, factor);
      if (to.words != nullptr)
        Arithmetic::put(sum, to.words + r * to.stride + 16 / Arithmetic::kValuesPerWord * v);
      else
        _mm512_storeu_ps(to.out + r * to.stride + 16 * v, sum);
    }
  }
}

struct Float32 {
  [[gnu::always_inline]] static __m512 add(__m512 sum, __m512i a, __m512i b) {
    // As an instruction: of the intrinsic's three forms the compiler takes those that want sums copied between registers.
    asm("vfmadd231ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
  }
  static constexpr int64_t kValuesPerWord = 1;
  [[gnu::always_inline]] static void put(__m512 x, uint32_t* words) {
    _mm512_storeu_ps(reinterpret_cast<float*>(words), x);
  }
};

template <class Arithmetic>
[[gnu::always_inline]] inline void multiply_columns(const uint32_t* a, int64_t a_stride, const uint32_t* b,
                                                    int64_t b_stride, int64_t words, int64_t columns,
                                                    const Avx512Kernels::RowSum& to) {
  switch (columns / Avx512Kernels::kVector) {
    case 1: return multiply_vectors<Arithmetic, 1>(a, a_stride, b, b_stride, words, to);
    case 2: return multiply_vectors<Arithmetic, 2>(a, a_stride, b, b_stride, words, to);
    case 3: return multiply_vectors<Arithmetic, 3>(a, a_stride, b, b_stride, words, to);
    default: return multiply_vectors<Arithmetic, 4>(a, a_stride, b, b_stride, words, to);
  }
}

/// kRows rows by one panel or two, from their bias on.
template <class Arithmetic, int kRows, int kPanels>
struct PanelSums : ProductSums<Arithmetic, kRows, kPanels, 2> {
  [[gnu::always_inline]] PanelSums(const uint32_t* a, int64_t a_stride, const Avx512Kernels::Panels& panels,
                                   int64_t words) {
    const float* const bias[2] = {panels.bias_left, panels.bias_right};
#pragma GCC unroll 2
    for (int p = 0; p < kPanels; ++p)
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) {
        const __m512 start = bias[p] != nullptr ? _mm512_loadu_ps(bias[p] + 16 * v) : _mm512_setzero_ps();
#pragma GCC unroll 6
        for (int r = 0; r < kRows; ++r) this->of[r][p][v] = start;
      }
    this->add(a, a_stride, panels.left, kPanels > 1 ? panels.right : panels.left, Avx512Kernels::kPanel, words);
  }
};

template <class Arithmetic, int kRows, int kPanels>
void store_panels(const uint32_t* a, int64_t a_stride, const Avx512Kernels::Panels& panels, int64_t words,
                  float* c_left, float* c_right, int64_t c_stride, bool accumulate) {
  float* const c[2] = {c_left, c_right};
  // On their way while products are made: rows of a result lie too far apart to be foreseen.
#pragma GCC unroll 6
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 2
    for (int p = 0; p < kPanels; ++p)
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) __builtin_prefetch(c[p] + r * c_stride + 16 * v, /*rw=*/1);
  const PanelSums<Arithmetic, kRows, kPanels> sums(a, a_stride, panels, words);
#pragma GCC unroll 6
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 2
    for (int p = 0; p < kPanels; ++p)
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) {
        float* place = c[p] + r * c_stride + 16 * v;
        const __m512 sum = sums.of[r][p][v];
        _mm512_storeu_ps(place, accumulate ? _mm512_add_ps(_mm512_loadu_ps(place), sum) : sum);
      }
}

template <class Arithmetic>
void multiply_panels(const uint32_t* a, int64_t a_stride, int64_t rows, const Avx512Kernels::Panels& panels,
                     int64_t words, float* c_left, float* c_right, int64_t c_stride, bool accumulate) {
  using Store = decltype(&store_panels<Arithmetic, 1, 1>);
  static constexpr Store kStores[2][Avx512Kernels::kRows] = {
      {store_panels<Arithmetic, 1, 1>, store_panels<Arithmetic, 2, 1>, store_panels<Arithmetic, 3, 1>,
       store_panels<Arithmetic, 4, 1>, store_panels<Arithmetic, 5, 1>, store_panels<Arithmetic, 6, 1>},
      {store_panels<Arithmetic, 1, 2>, store_panels<Arithmetic, 2, 2>, store_panels<Arithmetic, 3, 2>,
       store_panels<Arithmetic, 4, 2>, store_panels<Arithmetic, 5, 2>, store_panels<Arithmetic, 6, 2>}};
  kStores[panels.right != nullptr][rows - 1](a, a_stride, panels, words, c_left, c_right, c_stride, accumulate);
}

[[gnu::always_inline]] inline void put_tile(const __m512 (&sums)[Avx512Kernels::kRows][2][2],
                                            const Avx512Kernels::TileSum& to) {
  float* const out[2] = {to.left, to.right};
#pragma GCC unroll 6
  for (int r = 0; r < Avx512Kernels::kRows; ++r)
#pragma GCC unroll 2
    for (int p = 0; p < 2; ++p)
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) {
        float* place = out[p] + r * to.stride + 16 * v;
        __m512 sum = sums[r][p][v];
        if (to.added != nullptr)
          sum = _mm512_add_ps(sum, _mm512_loadu_ps(to.added + r * 2 * Avx512Kernels::kPanel + 32 * p + 16 * v));
        _mm512_storeu_ps(place, to.accumulate ? _mm512_add_ps(_mm512_loadu_ps(place), sum) : sum);
      }
}

void multiply_tile_float32(const float* a, int64_t a_stride, const float* left, const float* right, int64_t depth,
                           const Avx512Kernels::TileSum& first, const Avx512Kernels::TileSum* second) {
  const auto words = [](const float* x) { return reinterpret_cast<const uint32_t*>(x); };
  const Avx512Kernels::Panels panels{words(left), words(right), nullptr, nullptr};
  const PanelSums<Float32, Avx512Kernels::kRows, 2> sums(words(a), a_stride, panels, depth);
  put_tile(sums.of, first);
  if (second != nullptr) put_tile(sums.of, *second);
}

void multiply_float32(const uint32_t* a, int64_t a_stride, const uint32_t* b, int64_t b_stride, int64_t words,
                      int64_t columns, const Avx512Kernels::RowSum& to) {
  multiply_columns<Float32>(a, a_stride, b, b_stride, words, columns, to);
}

void copy_row(const float* x, int64_t n, uint32_t* words) { std::memcpy(words, x, static_cast<size_t>(n) * 4); }

void copy_rows(const float* const* rows, int64_t n, uint32_t* words) { copy_row(rows[0], n, words); }

[[gnu::always_inline]] inline __m256i narrow(__m512 x) { return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x)); }

struct BFloat16 {
  static constexpr int64_t kValuesPerWord = 2;
  [[gnu::always_inline]] static void put(__m512 x, uint32_t* words) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(words), narrow(x));
  }
  [[gnu::always_inline]] static __m512 add(__m512 sum, __m512i a, __m512i b) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
  }
};

void multiply_bfloat16(const uint32_t* a, int64_t a_stride, const uint32_t* b, int64_t b_stride, int64_t words,
                       int64_t columns, const Avx512Kernels::RowSum& to) {
  multiply_columns<BFloat16>(a, a_stride, b, b_stride, words, columns, to);
}

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

template <class Arithmetic>
float pack_scaled(const float* x, int64_t stride, int64_t rows, int64_t n, float scale, uint32_t* words) {
  const __m512 factor = _mm512_set1_ps(scale);
  float longest = 0;
  for (int64_t r = 0; r < rows; ++r, x += stride) {
    __m512 squares = _mm512_setzero_ps();
    for (int64_t i = 0; i < n; i += 16, words += 16 / Arithmetic::kValuesPerWord) {
      const __m512 scaled = _mm512_mul_ps(_mm512_loadu_ps(x + i), factor);
      squares = _mm512_fmadd_ps(scaled, scaled, squares);
      Arithmetic::put(scaled, words);
    }
    const float length = _mm512_reduce_add_ps(squares);
    longest = length > longest ? length : longest;
  }
  return longest;
}

/// Which of the 16 places from i on lie inside [first, last).
[[gnu::always_inline]] inline __mmask16 lanes(int64_t i, int64_t first, int64_t last) {
  uint32_t mask = last - i >= 16 ? 0xFFFFu : last <= i ? 0u : (1u << (last - i)) - 1;
  if (first > i) mask = first - i >= 16 ? 0u : mask >> (first - i) << (first - i);
  return static_cast<__mmask16>(mask);
}

/// 2^r for |r| <= 1/2: within 3e-6, a thousandth of what rounding to bfloat16 does afterwards.
[[gnu::always_inline]] inline __m512 exp2_fraction(__m512 r) {
  __m512 p = _mm512_set1_ps(9.582852944731712e-3f);
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(5.590642616152763e-2f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(2.402409911155701e-1f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(6.931241750717163e-1f));
  return _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
}

/// 2^x = 2^n 2^r, as near as exp2_fraction.
[[gnu::always_inline]] inline __m512 coarse_exp2(__m512 x) {
  const __m512 n = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  return _mm512_scalef_ps(exp2_fraction(_mm512_sub_ps(x, n)), n);
}

/// 2^(x - n) for multiples n of 2^-kBits, from their last kBits bits on: as float32 bits, less these bits where adding n
/// shifted to the exponent's place would bring them in. Each 2^(j 2^-kBits) is times `factor`.
template <int kBits>
struct PowerTable {
  alignas(64) uint32_t of[1 << kBits] = {};
  static constexpr int kShift = 23 - kBits;  // from where adding kRound leaves n to the exponent's place

  consteval explicit PowerTable(double factor) {
    for (uint32_t j = 0; j < 1u << kBits; ++j) {
      const double x = static_cast<double>(j) / (1 << kBits) * 0.69314718055994530942;
      double power = 1;
      for (int term = 24; term > 0; --term) power = 1 + power * x / term;
      of[j] = __builtin_bit_cast(uint32_t, static_cast<float>(power * factor)) - (j << kShift);
    }
  }
};

/// For |x| <= kLargestExponent, without the instructions that look after other exponents: adding 1.5 * 2^(23 - kBits)
/// rounds x to a multiple of 2^-kBits, and leaves it as an integer in the low bits.
template <int kBits>
constexpr float kRound = 1.5f * (1 << (23 - kBits));

/// 2^x within 1.2e-4, a thirtieth of what rounding to bfloat16 does afterwards: 2^n (1 + r ln 2), |r| <= 1/32. Multiplied
/// twice alone, since these instructions take the places of products'.
[[gnu::always_inline]] inline __m512 table_exp2(__m512 x) {
  static constexpr PowerTable<4> kPowers(1.0001173003922599);
  const __m512 round = _mm512_set1_ps(kRound<4>), shifted = _mm512_add_ps(x, round);
  const __m512i n = _mm512_castps_si512(shifted);
  const __m512i entry = _mm512_permutexvar_epi32(n, _mm512_load_si512(kPowers.of));
  const __m512 power = _mm512_castsi512_ps(_mm512_add_epi32(entry, _mm512_slli_epi32(n, kPowers.kShift)));
  const __m512 r = _mm512_mul_ps(_mm512_sub_ps(x, _mm512_sub_ps(shifted, round)), _mm512_set1_ps(0.6930929811f));
  return _mm512_fmadd_ps(power, r, power);
}

/// 2^x within 1.5e-7: 2^n (1 + r (c + d r)), |r| <= 1/64, the polynomial within 5.4e-8 and 2^n from a table. What is added to
/// 2^n is a hundredth of it at most, so that little is rounded but the table and the sum.
[[gnu::always_inline]] inline __m512 exact_table_exp2(__m512 x) {
  static constexpr PowerTable<5> kPowers(1.0);
  const __m512 round = _mm512_set1_ps(kRound<5>), shifted = _mm512_add_ps(x, round);
  const __m512 r = _mm512_sub_ps(x, _mm512_sub_ps(shifted, round));
  const __m512i n = _mm512_castps_si512(shifted);
  const __m512i entry = _mm512_permutex2var_epi32(_mm512_load_si512(kPowers.of), n, _mm512_load_si512(kPowers.of + 16));
  const __m512 power = _mm512_castsi512_ps(_mm512_add_epi32(entry, _mm512_slli_epi32(n, kPowers.kShift)));
  const __m512 slope = _mm512_fmadd_ps(_mm512_set1_ps(0.2402265069591007f), r, _mm512_set1_ps(0.6931573298981906f));
  return _mm512_fmadd_ps(_mm512_mul_ps(power, r), slope, power);
}

/// What a type makes of scores: their powers, the words of these, and the sums of what the words hold.
struct WeighBFloat16 : BFloat16 {
  [[gnu::always_inline]] static __m512 bounded_exp2(__m512 x) { return table_exp2(x); }
  static constexpr int kVectors = 2;  // of weights that become words together
  [[gnu::always_inline]] static __m512 store_weights(const __m512* weights, uint32_t* out, __m512 sum) {
    const __m512bh rounded = _mm512_cvtne2ps_pbh(weights[1], weights[0]);
    _mm512_storeu_si512(out, reinterpret_cast<__m512i>(rounded));
    return add_words(rounded, sum);
  }
  [[gnu::always_inline]] static __m512 store_weight(__m512 weight, uint32_t* out, __m512 sum) {
    const __m256i rounded = narrow(weight);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), rounded);
    return add_words(reinterpret_cast<__m512bh>(_mm512_zextsi256_si512(rounded)), sum);
  }

 private:
  /// Two ones in bfloat16: products add up what was rounded, so that what rounding did to a large weight cancels.
  [[gnu::always_inline]] static __m512 add_words(__m512bh words, __m512 sum) {
    return _mm512_dpbf16_ps(sum, words, reinterpret_cast<__m512bh>(_mm512_set1_epi32(0x3F803F80)));
  }
};

struct WeighFloat32 : Float32 {
  [[gnu::always_inline]] static __m512 bounded_exp2(__m512 x) { return exact_table_exp2(x); }
  static constexpr int kVectors = 1;
  [[gnu::always_inline]] static __m512 store_weights(const __m512* weights, uint32_t* out, __m512 sum) {
    return store_weight(weights[0], out, sum);
  }
  [[gnu::always_inline]] static __m512 store_weight(__m512 weight, uint32_t* out, __m512 sum) {
    _mm512_storeu_ps(reinterpret_cast<float*>(out), weight);
    return _mm512_add_ps(sum, weight);
  }
};

/// One more word along the contracted dimension.
template <class Arithmetic, int kVectors>
[[gnu::always_inline]] inline void add_word(const uint32_t* q, int64_t q_stride, const uint32_t* k,
                                            __m512 (&scores)[Avx512Kernels::kRows][kVectors]) {
  __m512i right[kVectors];
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) right[v] = _mm512_loadu_si512(k + 16 * v);
#pragma GCC unroll 6
  for (int r = 0; r < Avx512Kernels::kRows; ++r) {
    const __m512i left = _mm512_set1_epi32(static_cast<int>(q[r * q_stride]));
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) scores[r][v] = Arithmetic::add(scores[r][v], left, right[v]);
  }
}

template <class Arithmetic, int kVectors>
void weigh_vectors(const uint32_t* q, int64_t q_stride, const uint32_t* k, int64_t words, int64_t seen, int64_t more,
                   uint32_t* out, int64_t out_stride, float* sums) {
  constexpr int kRows = Avx512Kernels::kRows;
  __m512 scores[kRows][kVectors];
#pragma GCC unroll 6
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) scores[r][v] = _mm512_setzero_ps();
  for (int64_t w = 0; w < words; ++w) add_word<Arithmetic>(q + w, q_stride, k + w * Avx512Kernels::kColumns, scores);
#pragma GCC unroll 6
  for (int r = 0; r < kRows; ++r) {
    __m512 sum = _mm512_loadu_ps(sums + r * Avx512Kernels::kVector);
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const __m512 weight =
          _mm512_maskz_mov_ps(lanes(16 * v, 0, seen + r * more), Arithmetic::bounded_exp2(scores[r][v]));
      sum = Arithmetic::store_weight(weight, out + r * out_stride + 16 / Arithmetic::kVectors * v, sum);
    }
    _mm512_storeu_ps(sums + r * Avx512Kernels::kVector, sum);
  }
}

template <class Arithmetic>
void weigh(const uint32_t* q, int64_t q_stride, const uint32_t* k, int64_t words, int64_t columns, int64_t seen,
           int64_t more, uint32_t* out, int64_t out_stride, float* sums) {
  static constexpr decltype(&weigh_vectors<Arithmetic, 1>) kSome[] = {
      weigh_vectors<Arithmetic, 1>, weigh_vectors<Arithmetic, 2>, weigh_vectors<Arithmetic, 3>,
      weigh_vectors<Arithmetic, 4>};
  kSome[columns / Avx512Kernels::kVector - 1](q, q_stride, k, words, seen, more, out, out_stride, sums);
}

/// Scores of kRows queries and kColumns keys, written down as products left them, and where their weights go.
template <class Arithmetic>
struct Unweighed {
  static constexpr int kVectors = Arithmetic::kVectors, kSteps = Avx512Kernels::kRows * 4 / kVectors;
  alignas(64) float scores[Avx512Kernels::kRows * 4 * 16];
  uint32_t* out = nullptr;
  int64_t out_stride = 0;
  float* sums = nullptr;

  /// A vector of words, of kSteps.
  [[gnu::always_inline]] void weigh(int step) const {
    constexpr int kPerRow = 4 / kVectors;
    const int r = step / kPerRow, v = step % kPerRow;
    __m512 weights[kVectors];
#pragma GCC unroll 2
    for (int i = 0; i < kVectors; ++i)
      weights[i] = Arithmetic::bounded_exp2(_mm512_load_ps(scores + 16 * (step * kVectors + i)));
    float* sum = sums + r * Avx512Kernels::kVector;
    _mm512_storeu_ps(sum, Arithmetic::store_weights(weights, out + r * out_stride + 16 * v, _mm512_loadu_ps(sum)));
  }
};

// What follows the products of some queries and keys is done in between those of the next ones: the processor does not
// look far enough ahead to see that both can go on at once.
template <class Arithmetic>
void weigh_seen(const uint32_t* q, int64_t rows, const uint32_t* k, int64_t words, int64_t keys, uint32_t* out,
                int64_t out_stride, float* sums) {
  constexpr int kRows = Avx512Kernels::kRows;
  constexpr int64_t kColumns = Avx512Kernels::kColumns;
  using Last = Unweighed<Arithmetic>;
  Last last;
  last.out_stride = out_stride;
  for (int64_t key = 0; key < keys; key += kColumns)
    for (int64_t row = 0; row < rows; row += kRows) {
      const uint32_t *left = q + row * words, *right = k + key * words;
      __m512 scores[kRows][4];
#pragma GCC unroll 6
      for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < 4; ++v) scores[r][v] = _mm512_setzero_ps();
      int64_t w = 0;
      if (last.out != nullptr) {
        int step = 0;
        for (; step < Last::kSteps && w + 2 <= words; ++step, w += 2) {
          add_word<Arithmetic>(left + w, words, right + w * kColumns, scores);
          last.weigh(step);
          add_word<Arithmetic>(left + w + 1, words, right + (w + 1) * kColumns, scores);
        }
        for (; step < Last::kSteps; ++step) last.weigh(step);
      }
      for (; w < words; ++w) add_word<Arithmetic>(left + w, words, right + w * kColumns, scores);
#pragma GCC unroll 6
      for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < 4; ++v) _mm512_store_ps(last.scores + 16 * (4 * r + v), scores[r][v]);
      last.out = out + row * out_stride + key / Arithmetic::kVectors;
      last.sums = sums + row * Avx512Kernels::kVector;
    }
  for (int step = 0; step < Last::kSteps && last.out != nullptr; ++step) last.weigh(step);
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

/// silu(gate) * up, as exact as coarse_exp2; the reciprocal is within 2^-14.
[[gnu::always_inline]] inline __m512 coarse_silu(__m512 gate, __m512 up) {
  const __m512 power = coarse_exp2(_mm512_mul_ps(gate, _mm512_set1_ps(-1.44269504f)));
  const __m512 sigmoid = _mm512_rcp14_ps(_mm512_add_ps(_mm512_set1_ps(1.0f), power));
  return _mm512_mul_ps(_mm512_mul_ps(gate, sigmoid), up);
}

void silu_multiply_bfloat16(const float* gate, const float* up, int64_t n, float* out) {
  for (int64_t i = 0; i < n; i += 16)
    _mm512_storeu_ps(out + i, coarse_silu(_mm512_loadu_ps(gate + i), _mm512_loadu_ps(up + i)));
}

template <int kRows>
void multiply_silu_rows(const uint32_t* a, int64_t a_stride, const Avx512Kernels::Panels& panels, int64_t words,
                        uint32_t* out, int64_t out_stride) {
  const PanelSums<BFloat16, kRows, 2> sums(a, a_stride, panels, words);
#pragma GCC unroll 6
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v)
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + r * out_stride + 8 * v),
                          narrow(coarse_silu(sums.of[r][0][v], sums.of[r][1][v])));
}

void multiply_silu_bfloat16(const uint32_t* a, int64_t a_stride, int64_t rows, const Avx512Kernels::Panels& panels,
                            int64_t words, uint32_t* out, int64_t out_stride) {
  static constexpr decltype(&multiply_silu_rows<1>) kProducts[Avx512Kernels::kRows] = {
      multiply_silu_rows<1>, multiply_silu_rows<2>, multiply_silu_rows<3>,
      multiply_silu_rows<4>, multiply_silu_rows<5>, multiply_silu_rows<6>};
  kProducts[rows - 1](a, a_stride, panels, words, out, out_stride);
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
  static const Avx512Kernels float32{.values_per_word = 1,
                                     .panel_rows = Avx512Kernels::kRows,
                                     .multiply = multiply_float32,
                                     .multiply_panels = multiply_panels<Float32>,
                                     .multiply_silu = nullptr,
                                     .multiply_tile = multiply_tile_float32,
                                     .pack_row = copy_row,
                                     .pack_rows = copy_rows,
                                     .pack_scaled = pack_scaled<Float32>,
                                     .exp_row = exp_row,
                                     .weigh = weigh<WeighFloat32>,
                                     .weigh_seen = weigh_seen<WeighFloat32>,
                                     .silu_multiply = nullptr,
                                     .gelu = nullptr};
  static const Avx512Kernels bfloat16{.values_per_word = 2,
                                      .panel_rows = Avx512Kernels::kRows,
                                      .multiply = multiply_bfloat16,
                                      .multiply_panels = multiply_panels<BFloat16>,
                                      .multiply_silu = multiply_silu_bfloat16,
                                      .multiply_tile = nullptr,
                                      .pack_row = narrow_row,
                                      .pack_rows = narrow_rows,
                                      .pack_scaled = pack_scaled<BFloat16>,
                                      .exp_row = exp_row_bfloat16,
                                      .weigh = weigh<WeighBFloat16>,
                                      .weigh_seen = weigh_seen<WeighBFloat16>,
                                      .silu_multiply = silu_multiply_bfloat16,
                                      .gelu = gelu_bfloat16};
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
