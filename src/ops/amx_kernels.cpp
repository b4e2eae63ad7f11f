#include "ops/amx_kernels.h"

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define VERNIER_AMX_KERNELS
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace vernier {

#ifdef VERNIER_AMX_KERNELS

#pragma GCC push_options
#pragma GCC target("amx-tile,amx-bf16")

namespace {

constexpr int64_t kTile = 16;  // rows of a tile, and words of a row
constexpr int64_t kWordBytes = 4, kPanel = Avx512Kernels::kPanel;

// Tiles by number, which instructions hold: sums of the upper 16 rows by both halves of a panel, of the lower ones, both
// operands.
#define UPPER_LEFT 0
#define UPPER_RIGHT 1
#define LOWER_LEFT 2
#define LOWER_RIGHT 3
#define UPPER 4
#define LOWER 5
#define LEFT 6
#define RIGHT 7

/// What the tiles are, as the processor reads it.
struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};

  TileConfig(int64_t upper, int64_t lower) {
    const int64_t of[8] = {upper, upper, lower, lower, upper, lower, kTile, kTile};
    for (int tile = 0; tile < 8; ++tile) {
      rows[tile] = static_cast<uint8_t>(of[tile]);
      row_bytes[tile] = of[tile] > 0 ? kTile * kWordBytes : 0;
    }
  }
};

/// Loads and stores of tiles name no memory to the compiler: what it writes must be there before, and what it reads after.
inline void settle_memory() { __asm__ volatile("" ::: "memory"); }

/// The sums of two tiles begin with a row of biases, or with 0.
#define BEGIN_SUMS(left, right, bias)      \
  if ((bias) != nullptr) {                 \
    _tile_loadd(left, bias, 0);            \
    _tile_loadd(right, (bias) + kTile, 0); \
  } else {                                 \
    _tile_zero(left);                      \
    _tile_zero(right);                     \
  }

/// 17 to 32 rows by a panel.
inline void multiply_two(const uint32_t* a, int64_t a_stride, const uint32_t* panel, const float* bias, int64_t words,
                         float* c, int64_t c_stride) {
  const uint32_t* lower = a + kTile * a_stride;
  BEGIN_SUMS(UPPER_LEFT, UPPER_RIGHT, bias)
  BEGIN_SUMS(LOWER_LEFT, LOWER_RIGHT, bias)
  for (int64_t w = 0; w < words; w += kTile) {
    _tile_loadd(LEFT, panel + w * kPanel, kPanel * kWordBytes);
    _tile_loadd(UPPER, a + w, a_stride * kWordBytes);
    _tile_dpbf16ps(UPPER_LEFT, UPPER, LEFT);
    _tile_loadd(RIGHT, panel + w * kPanel + kTile, kPanel * kWordBytes);
    _tile_dpbf16ps(UPPER_RIGHT, UPPER, RIGHT);
    _tile_loadd(LOWER, lower + w, a_stride * kWordBytes);
    _tile_dpbf16ps(LOWER_LEFT, LOWER, LEFT);
    _tile_dpbf16ps(LOWER_RIGHT, LOWER, RIGHT);
  }
  _tile_stored(UPPER_LEFT, c, c_stride * kWordBytes);
  _tile_stored(UPPER_RIGHT, c + kTile, c_stride * kWordBytes);
  _tile_stored(LOWER_LEFT, c + kTile * c_stride, c_stride * kWordBytes);
  _tile_stored(LOWER_RIGHT, c + kTile * c_stride + kTile, c_stride * kWordBytes);
}

/// 1 to 16 rows by a panel.
inline void multiply_one(const uint32_t* a, int64_t a_stride, const uint32_t* panel, const float* bias, int64_t words,
                         float* c, int64_t c_stride) {
  BEGIN_SUMS(UPPER_LEFT, UPPER_RIGHT, bias)
  for (int64_t w = 0; w < words; w += kTile) {
    _tile_loadd(UPPER, a + w, a_stride * kWordBytes);
    _tile_loadd(LEFT, panel + w * kPanel, kPanel * kWordBytes);
    _tile_dpbf16ps(UPPER_LEFT, UPPER, LEFT);
    _tile_loadd(RIGHT, panel + w * kPanel + kTile, kPanel * kWordBytes);
    _tile_dpbf16ps(UPPER_RIGHT, UPPER, RIGHT);
  }
  _tile_stored(UPPER_LEFT, c, c_stride * kWordBytes);
  _tile_stored(UPPER_RIGHT, c + kTile, c_stride * kWordBytes);
}

/// fn (first, upper, lower) of rows in pairs of tiles that are configured for them: `upper` in the first, `lower` in the other.
template <class Fn>
inline void for_tiles(int64_t rows, Fn&& fn) {
  int64_t configured = 0;
  for (int64_t first = 0; first < rows; first += AmxTiles::kRows) {
    const int64_t count = rows - first < AmxTiles::kRows ? rows - first : AmxTiles::kRows;
    const int64_t upper = count < kTile ? count : kTile;
    if (count != configured) {
      const TileConfig config(upper, count - upper);
      settle_memory();
      _tile_loadconfig(&config);
      configured = count;
    }
    fn(first, upper, count - upper);
  }
  _tile_release();  // else the system saves the tiles whenever it takes the processor from this thread
}

void multiply_panels(const uint32_t* a, int64_t a_stride, int64_t rows, const Avx512Kernels::Panels& panels,
                     int64_t words, float* c_left, float* c_right, int64_t c_stride, bool accumulate) {
  alignas(64) float sums[AmxTiles::kRows * kPanel];
  const uint32_t* const panel[2] = {panels.left, panels.right};
  const float* const bias[2] = {panels.bias_left, panels.bias_right};
  float* const result[2] = {c_left, c_right};
  for_tiles(rows, [&](int64_t first, int64_t upper, int64_t lower) {
    for (int p = 0; p < 2 && panel[p] != nullptr; ++p) {
      float* const to = result[p] + first * c_stride;
      float* const c = accumulate ? sums : to;
      settle_memory();
      (lower > 0 ? multiply_two : multiply_one)(a + first * a_stride, a_stride, panel[p], bias[p], words, c,
                                                accumulate ? kPanel : c_stride);
      settle_memory();
      for (int64_t r = 0; r < upper + lower && accumulate; ++r)
        for (int64_t j = 0; j < kPanel; ++j) to[r * c_stride + j] += sums[r * kPanel + j];
    }
  });
}

void multiply_silu(const uint32_t* a, int64_t a_stride, int64_t rows, const Avx512Kernels::Panels& panels,
                   int64_t words, uint32_t* out, int64_t out_stride) {
  static const Avx512Kernels& plain = *avx512_kernels(ComputeType::kBFloat16);
  alignas(64) float gate[AmxTiles::kRows * kPanel], up[AmxTiles::kRows * kPanel];
  for_tiles(rows, [&](int64_t first, int64_t upper, int64_t lower) {
    const auto product = lower > 0 ? multiply_two : multiply_one;
    settle_memory();
    product(a + first * a_stride, a_stride, panels.left, panels.bias_left, words, gate, kPanel);
    product(a + first * a_stride, a_stride, panels.right, panels.bias_right, words, up, kPanel);
    settle_memory();
    plain.silu_multiply(gate, up, (upper + lower) * kPanel, gate);
    for (int64_t r = 0; r < upper + lower; ++r)
      plain.pack_row(gate + r * kPanel, kPanel, out + (first + r) * out_stride);
  });
}

/// Linux gives the tiles' memory to a process that asks for it.
bool may_use_tiles() {
  constexpr unsigned kBfloat16 = 1u << 22, kTiles = 1u << 24;  // of leaf 7, in EDX
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (d & kBfloat16) == 0 || (d & kTiles) == 0) return false;
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return ::syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

#undef UPPER_LEFT
#undef UPPER_RIGHT
#undef LOWER_LEFT
#undef LOWER_RIGHT
#undef UPPER
#undef LOWER
#undef LEFT
#undef RIGHT
#undef BEGIN_SUMS

}  // namespace

#pragma GCC pop_options

const Avx512Kernels* amx_kernels() {
  static const Avx512Kernels* const kernels = []() -> const Avx512Kernels* {
    const Avx512Kernels* plain = avx512_kernels(ComputeType::kBFloat16);
    if (plain == nullptr || !may_use_tiles()) return nullptr;
    static Avx512Kernels tiles = *plain;
    tiles.panel_rows = INT64_MAX;
    tiles.multiply_panels = multiply_panels;
    tiles.multiply_silu = multiply_silu;
    return &tiles;
  }();
  return kernels;
}

#else

const Avx512Kernels* amx_kernels() { return nullptr; }

#endif

}  // namespace vernier
