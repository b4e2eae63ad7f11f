#include "ops/panel_matrix.h"

#include <algorithm>

#include "base/fail.h"
#include "ops/amx_kernels.h"
#include "ops/kernels.h"

namespace vernier {

namespace {

using Kernels = Avx512Kernels;

// Rows of a block are read again for every panel: they should leave room for it in the second-level cache.
constexpr int64_t kBlockBytes = 192 << 10;

// By quarters a pair of columns meets at most so many groups of rows: of more, rows would come from memory each time.
constexpr int64_t kQuarterGroups = 43;
// The quarters of weights and their sums stay in the second-level cache: depths beyond are added up piece by piece.
constexpr int64_t kLargestDepth = 640;
// From larger matrices few rows are asked for at a time, and the same bits of a row whichever lie beside it.
constexpr int64_t kLargestOut = 8192;
// Weights of a matrix whose sums may be kept: 24 MiB of them.
constexpr int64_t kLargestKept = int64_t{1} << 23;

/// Whether the vectors' lengths are of one size.
template <class SquaredLength>
bool are_alike(int64_t count, SquaredLength&& squared_length) {
  float shortest = squared_length(0), longest = shortest;
  for (int64_t i = 1; i < count; ++i) {
    const float length = squared_length(i);
    shortest = std::min(shortest, length);
    longest = std::max(longest, length);
  }
  return StrassenRows::are_alike(shortest, longest);
}

/// The contracted dimension in parts of about one size. @param fn (first, depth)
template <class Fn>
void for_depths(int64_t in, Fn&& fn) {
  const int64_t parts = (in + kLargestDepth - 1) / kLargestDepth, units = in / StrassenRows::kDepth;
  for (int64_t part = 0; part < parts; ++part) {
    const int64_t first = units * part / parts, last = units * (part + 1) / parts;
    fn(first * StrassenRows::kDepth, (last - first) * StrassenRows::kDepth);
  }
}

/// Rows in blocks of about one size, which but for the last are whole groups. @param fn (first, count)
template <class Fn>
void for_quarter_blocks(int64_t rows, Fn&& fn) {
  constexpr int64_t kRows = StrassenRows::kRows;
  const int64_t groups = (rows + kRows - 1) / kRows, blocks = (groups + kQuarterGroups - 1) / kQuarterGroups;
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t first = groups * block / blocks * kRows, last = groups * (block + 1) / blocks * kRows;
    fn(first, std::min(rows, last) - first);
  }
}

/// The rows of a block by quarters: whole groups where they lie, and what is left in a group of its own, filled up with
/// copies of the last row.
class QuarterBlock {
 public:
  QuarterBlock(const Avx512Kernels& kernels, const Slab& x, Arena& arena)
      : whole_(x.rows / kRows * kRows),
        left_(x.rows - whole_),
        rows_(kernels, x.row_range(0, whole_), arena),
        rest_(kernels, filled(x.rows_from(whole_), arena), arena),
        tile_{arena.floats(kRows * 2 * kColumns), kRows, 2 * kColumns, 2 * kColumns} {}

  /// place (group) where whole groups go; done (group) when they are there. rest (rows): what is left, a column pair wide.
  template <class Place, class Done, class Rest>
  void multiply(StrassenRows::Columns columns, const StrassenRows::Columns& next, int64_t depth, Place&& place,
                Done&& done, Rest&& rest, Arena& scratch) const {
    const Arena::Scope scope(scratch);
    if (columns.alike && columns.sums == nullptr) {
      float* const sums = scratch.floats(StrassenRows::sums_of(depth));
      StrassenRows::add_up(columns.left, columns.right, depth, sums);
      columns.sums = sums;
    }
    rows_.multiply(columns, &next, place, done, scratch);
    if (left_ == 0) return;
    const auto in_tile = [&](int64_t) {
      return StrassenRows::Place{tile_.data, tile_.data + kColumns, tile_.ld, /*accumulate=*/false};
    };
    rest_.multiply(columns, nullptr, in_tile, {}, scratch);
    rest(tile_.row_range(0, left_));
  }

  int64_t whole() const { return whole_; }

 private:
  static constexpr int64_t kRows = StrassenRows::kRows, kColumns = StrassenRows::kColumns;
  static Slab filled(const Slab& x, Arena& arena) {
    if (x.rows == 0) return {x.data, 0, x.cols, x.ld};
    const Slab group{arena.floats(kRows * x.cols), kRows, x.cols, x.cols};
    for (int64_t r = 0; r < kRows; ++r) std::copy_n(x.row(std::min(r, x.rows - 1)), x.cols, group.row(r));
    return group;
  }

  int64_t whole_, left_;
  StrassenRows rows_, rest_;
  Slab tile_;
};

}  // namespace

const Avx512Kernels* PanelMatrix::kernels_for(ComputeType type, int64_t out, int64_t in) {
  const bool fits = out > 0 && in > 0 && out % Kernels::kPanel == 0 && in % Kernels::kVector == 0;
  if (!fits) return nullptr;
  const bool fills_tiles = type == ComputeType::kBFloat16 && in % AmxTiles::kDepth == 0;
  const Kernels* tiles = fills_tiles ? amx_kernels() : nullptr;
  return tiles != nullptr ? tiles : avx512_kernels(type);
}

PanelMatrix::PanelMatrix(const Avx512Kernels& kernels, const void* weight, int64_t out, int64_t in, const float* bias)
    : kernels_(kernels), out_(out), row_words_(words_of(in)), words_(static_cast<size_t>(out * row_words_)) {
  const auto* source = static_cast<const uint32_t*>(weight);
  // A vector of words of each column at a time: what is written stays in the first-level cache.
  constexpr int64_t kStep = 8;
  for (int64_t first = 0; first < out; first += Kernels::kPanel) {
    uint32_t* panel = words_.data() + first * row_words_;
    for (int64_t w = 0; w < row_words_; w += kStep)
      for (int64_t j = 0; j < Kernels::kPanel; ++j) {
        const uint32_t* row = source + (first + j) * row_words_;
        for (int64_t i = w; i < w + kStep; ++i) panel[i * Kernels::kPanel + j] = row[i];
      }
  }
  if (bias != nullptr) bias_.assign(bias, bias + out);
  if (kernels.multiply_tile != nullptr) look_for_halves(static_cast<const float*>(weight), in);
}

void PanelMatrix::look_for_halves(const float* weight, int64_t in) {
  constexpr int64_t kColumns = StrassenRows::kColumns;
  if (in % StrassenRows::kDepth != 0 || out_ < 2 * kColumns || out_ > kLargestOut) return;
  std::vector<float> squares(static_cast<size_t>(out_));
  for (int64_t j = 0; j < out_; ++j) squares[static_cast<size_t>(j)] = sum_squares(weight + j * in, in);
  const auto halves_alike = [&](int64_t left, int64_t right) {
    return are_alike(2 * kColumns, [&](int64_t j) {
      return squares[static_cast<size_t>(j < kColumns ? left + j : right + j - kColumns)];
    });
  };
  gated_ = out_ % (2 * kColumns) == 0 && in <= kLargestDepth;
  for (int64_t column = 0; gated_ && column < out_ / 2; column += kColumns)
    gated_ = halves_alike(column, out_ / 2 + column);
  alike_.assign(static_cast<size_t>(out_ / (2 * kColumns)), true);
  for (int64_t pair = 0; pair < pairs() && !gated_; ++pair)
    alike_[static_cast<size_t>(pair)] = halves_alike(halves(pair).left, halves(pair).right);
}

PanelMatrix::Halves PanelMatrix::halves(int64_t pair) const {
  constexpr int64_t kColumns = StrassenRows::kColumns;
  if (gated_) return {pair * kColumns, out_ / 2 + pair * kColumns};
  return {pair * 2 * kColumns, (pair * 2 + 1) * kColumns};
}

StrassenRows::Columns PanelMatrix::columns(int64_t pair, int64_t from, int64_t depth) const {
  const auto panel = [&](int64_t column) {
    return reinterpret_cast<const float*>(words_.data()) + column * row_words_ + from * Kernels::kPanel;
  };
  const auto half = [&](int64_t column) { return StrassenRows::Half{panel(column), panel(column + Kernels::kPanel)}; };
  const Halves of = halves(pair);
  const int64_t before = StrassenRows::sums_of(pairs() * from) + pair * StrassenRows::sums_of(depth);
  return {half(of.left), half(of.right), alike_[static_cast<size_t>(pair)],
          sums_.empty() ? nullptr : sums_.data() + before};
}

void PanelMatrix::keep_rows_apart() {
  alike_.clear();
  gated_ = false;
  sums_ = {};
}

void PanelMatrix::keep_sums() {
  if (alike_.empty() || !sums_.empty() || out_ * row_words_ > kLargestKept) return;
  Lines<float> sums(static_cast<size_t>(pairs() * StrassenRows::sums_of(row_words_)));
  float* place = sums.data();
  for_depths(row_words_, [&](int64_t from, int64_t depth) {
    for (int64_t pair = 0; pair < pairs(); ++pair, place += StrassenRows::sums_of(depth)) {
      const StrassenRows::Columns both = columns(pair, from, depth);
      StrassenRows::add_up(both.left, both.right, depth, place);
    }
  });
  sums_ = std::move(sums);
}

int64_t PanelMatrix::rows_at_once(int64_t rows, int64_t bytes_per_row) {
  const int64_t together = amx_kernels() != nullptr ? AmxTiles::kRows : Kernels::kRows;
  const int64_t most = std::max(together, kBlockBytes / bytes_per_row);
  const int64_t blocks = std::max<int64_t>(1, (rows + most - 1) / most);
  const int64_t groups = (rows + blocks * together - 1) / (blocks * together);
  return std::max<int64_t>(1, groups) * together;
}

WordRows PanelMatrix::rows(int64_t count, Arena& arena) const {
  return {reinterpret_cast<uint32_t*>(arena.floats(count * row_words_)), count, row_words_, row_words_};
}

WordRows PanelMatrix::pack(const Slab& x, Arena& arena) const {
  if (words_of(x.cols) != row_words_)
    fail(ErrorKind::kInternal, "panels [{}, {}]: x [{}, {}]", out_, row_words_ * kernels_.values_per_word, x.rows,
         x.cols);
  if (kernels_.values_per_word == 1) return {reinterpret_cast<uint32_t*>(x.data), x.rows, row_words_, x.ld};
  const WordRows packed = rows(x.rows, arena);
  for (int64_t r = 0; r < x.rows; ++r) kernels_.pack_row(x.row(r), x.cols, packed.row(r));
  return packed;
}

Avx512Kernels::Panels PanelMatrix::panels(int64_t left, int64_t right) const {
  const auto words = [&](int64_t column) { return words_.data() + column * row_words_; };
  const auto bias = [&](int64_t column) { return bias_.empty() ? nullptr : bias_.data() + column; };
  return {words(left), words(right), bias(left), bias(right)};
}

void PanelMatrix::apply(const Slab& x, const Slab& y, bool accumulate, Arena& scratch) const {
  if (by_quarters(x.rows)) return apply_by_quarters(x, y, accumulate, scratch);
  const int64_t step = rows_at_once(x.rows, row_words_ * static_cast<int64_t>(sizeof(uint32_t)));
  for (int64_t first = 0; first < x.rows; first += step) {
    const Arena::Scope scope(scratch);
    const int64_t count = std::min(step, x.rows - first);
    apply(pack(x.row_range(first, count), scratch), y.row_range(first, count), accumulate);
  }
}

void PanelMatrix::apply(const WordRows& x, const Slab& y, bool accumulate) const {
  if (x.row_words != row_words_ || y.cols != out_ || x.rows != y.rows)
    fail(ErrorKind::kInternal, "panels of {} words, {} outputs: x [{}, {} words], y [{}, {}]", row_words_, out_, x.rows,
         x.row_words, y.rows, y.cols);
  apply_columns(x, y, accumulate, 0, out_);
}

void PanelMatrix::apply_columns(const WordRows& x, const Slab& y, bool accumulate, int64_t first, int64_t last) const {
  for (int64_t left = first; left < last; left += 2 * Kernels::kPanel) {
    const bool two = left + Kernels::kPanel < last;
    const int64_t right = two ? left + Kernels::kPanel : left;
    Kernels::Panels both = panels(left, right);
    if (!two) both.right = nullptr;
    for (int64_t r = 0; r < x.rows; r += kernels_.panel_rows)
      kernels_.multiply_panels(x.row(r), x.stride, std::min(kernels_.panel_rows, x.rows - r), both, row_words_,
                               y.row(r) + left, y.row(r) + right, y.ld, accumulate);
  }
}

void PanelMatrix::apply_silu(const WordRows& x, const WordRows& y) const {
  const int64_t half = out_ / 2;
  if (!has_silu() || x.row_words != row_words_ || y.row_words != words_of(half) || x.rows != y.rows)
    fail(ErrorKind::kInternal, "gated panels of {} words, {} outputs: x [{}, {} words], y [{}, {} words]", row_words_,
         out_, x.rows, x.row_words, y.rows, y.row_words);
  for (int64_t column = 0; column < half; column += Kernels::kPanel) {
    const Kernels::Panels both = panels(column, half + column);
    for (int64_t r = 0; r < x.rows; r += kernels_.panel_rows)
      kernels_.multiply_silu(x.row(r), x.stride, std::min(kernels_.panel_rows, x.rows - r), both, row_words_,
                             y.row(r) + words_of(column), y.stride);
  }
}

void PanelMatrix::add_bias(const Slab& y, int64_t first) const {
  for (int64_t r = 0; r < y.rows && !bias_.empty(); ++r) add_row(bias_.data() + first, y.row(r), y.cols);
}

void PanelMatrix::apply_by_quarters(const Slab& x, const Slab& y, bool accumulate, Arena& scratch) const {
  constexpr int64_t kRows = StrassenRows::kRows, kColumns = StrassenRows::kColumns;
  const int64_t paired = pairs() * 2 * kColumns;
  for_quarter_blocks(x.rows, [&](int64_t first, int64_t count) {
    const Slab in = x.row_range(first, count), out = y.row_range(first, count);
    for_depths(x.cols, [&](int64_t from, int64_t depth) {
      const Arena::Scope scope(scratch);
      const QuarterBlock block(kernels_, in.columns(from, depth), scratch);
      const bool add = accumulate || from > 0;
      for (int64_t pair = 0; pair < pairs(); ++pair) {
        const Halves of = halves(pair);
        const auto place = [&](int64_t group) {
          float* const row = out.row(group * kRows);
          return StrassenRows::Place{row + of.left, row + of.right, out.ld, add};
        };
        const auto put_half = [&](const Slab& half, int64_t column) {
          for (int64_t r = 0; r < half.rows; ++r) {
            float* const to = out.row(block.whole() + r) + column;
            if (add)
              add_row(half.row(r), to, kColumns);
            else
              std::copy_n(half.row(r), kColumns, to);
          }
        };
        const auto put = [&](const Slab& rest) {
          put_half(rest.columns(0, kColumns), of.left);
          put_half(rest.columns(kColumns, kColumns), of.right);
        };
        const StrassenRows::Columns next = columns(std::min(pair + 1, pairs() - 1), from, depth);
        block.multiply(columns(pair, from, depth), next, depth, place, nullptr, put, scratch);
      }
    });
    add_bias(out.columns(0, paired), 0);
    apply_columns(pack(in, scratch), out, accumulate, paired, out_);
  });
}

bool PanelMatrix::apply_silu(const Slab& x, const Slab& y, Arena& scratch) const {
  constexpr int64_t kRows = StrassenRows::kRows, kColumns = StrassenRows::kColumns;
  if (!gated_ || !by_quarters(x.rows)) return false;
  for_quarter_blocks(x.rows, [&](int64_t first, int64_t count) {
    const Slab out = y.row_range(first, count);
    const Arena::Scope scope(scratch);
    const QuarterBlock block(kernels_, x.row_range(first, count), scratch);
    const Slab tile{scratch.floats(2 * kRows * kColumns), kRows, 2 * kColumns, 2 * kColumns};
    for (int64_t pair = 0; pair < pairs(); ++pair) {
      const Halves of = halves(pair);
      const auto activate = [&](const Slab& products, int64_t row) {
        add_bias(products.columns(0, kColumns), of.left);
        add_bias(products.columns(kColumns, kColumns), of.right);
        silu_multiply(products, out.row_range(row, products.rows).columns(of.left, kColumns));
      };
      const auto place = [&](int64_t) {
        return StrassenRows::Place{tile.data, tile.data + kColumns, tile.ld, /*accumulate=*/false};
      };
      const StrassenRows::Columns next = columns(std::min(pair + 1, pairs() - 1), 0, x.cols);
      block.multiply(
          columns(pair, 0, x.cols), next, x.cols, place, [&](int64_t group) { activate(tile, group * kRows); },
          [&](const Slab& rest) { activate(rest, block.whole()); }, scratch);
    }
  });
  return true;
}

}  // namespace vernier
