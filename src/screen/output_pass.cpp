#include "screen/output_pass.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>

#include "base/counter_random.h"
#include "base/fail.h"
#include "ops/kernels.h"
#include "ops/parallel.h"
#include "screen/labels.h"

namespace vernier {

namespace {

/// Of a window's scored rows: their distributions in bins, and what is drawn from them.
struct Rows {
  std::vector<float> largest;  // [rows][bins]
  std::vector<double> sums;    // [rows][bins]
  std::vector<RowTotals> totals;
  std::vector<LabelPlace> places;
};

struct Tile {
  int64_t first = 0, count = 0;
};

class Run {
 public:
  Run(const ScreenPass& pass, const std::vector<at::Tensor>& finals)
      : pass_(pass),
        finals_(finals),
        windows_(pass.sums.windows()),
        weight_(pass.aten.head()[0].weight),
        vocabulary_(weight_.size(0)),
        bins_(label_bins(vocabulary_)),
        output_(pass.model.output_matrix()),
        screened_(pass.sums.has(output_)),
        rows_(windows_.size()),
        squares_(windows_.size()) {}

  OutputGradients operator()() {
    prepare();
    const std::vector<Tile> tiles = cut();
    if (tiles.size() > 1)
      for (const Tile& tile : tiles) {
        const at::Tensor weight = weight_of(tile);
        for_windows([&](size_t w) { add_bins(w, tile, logits(w, weight)); });
      }
    if (tiles.size() > 1) for_windows([&](size_t w) { draw(w); });
    const bool whole = !pass_.errors.rows_independent(output_);
    std::vector<at::Tensor> all;  // errors of all rows, where they cannot be had tile by tile
    if (screened_ && whole) all = pass_.errors.of(output_, weight_of({0, vocabulary_}));
    for (const Tile& tile : tiles) {
      const at::Tensor weight = weight_of(tile);
      std::vector<at::Tensor> errors;
      if (screened_) errors = whole ? narrowed(all, tile) : pass_.errors.of(output_, weight);
      if (screened_)
        pass_.errors.add_sums(output_, pass_.sums.grid(output_), tile.first, weight, errors, found_.weights);
      for_windows([&](size_t w) {
        at::Tensor values = logits(w, weight);
        if (tiles.size() == 1) {
          add_bins(w, tile, values);
          draw(w);
        }
        to_gradient(w, tile, values);
        add_gradient(w, tile, values, weight, errors);
        if (pass_.limit != nullptr) squares_[w] = values.square().sum(0);
      });
      add_squares(tile);
    }
    pass_.model.release_pages();
    return std::move(found_);
  }

 private:
  template <class Fn>
  void for_windows(Fn&& fn) {
    parallel_for(static_cast<int64_t>(windows_.size()), pass_.threads, [&](int64_t w, int) {
      const c10::NoGradGuard no_grad;
      fn(static_cast<size_t>(w));
    });
  }

  void prepare() {
    const size_t n = windows_.size();
    found_.states.resize(n);
    found_.label_nll.assign(n, 0);
    if (screened_) found_.sums.resize(n);
    if (pass_.model.config().tied_embedding) found_.tokens.resize(n), found_.token_gradients.resize(n);
    for_windows([&](size_t w) {
      if (!finals_[w].isfinite().all().item<bool>())
        fail(ErrorKind::kBadFile,
             "screen: {}: the hidden state after the last layer is not finite: products of its weights overflow; the "
             "file is damaged, or its configuration is of another model",
             pass_.aten.name());
      found_.states[w] = at::zeros_like(finals_[w]);
      const auto rows = static_cast<size_t>(finals_[w].size(0));
      rows_[w].largest.resize(rows * static_cast<size_t>(bins_));
      rows_[w].sums.resize(rows * static_cast<size_t>(bins_));
      if (screened_) found_.sums[w].resize(pass_.sums.grid(output_), pass_.errors.schemes(), pass_.channels != nullptr);
      if (found_.tokens.empty()) return;
      const std::vector<int32_t>& tokens = windows_[w].window->tokens;
      std::vector<int64_t>& own = found_.tokens[w];
      own.assign(tokens.begin(), tokens.end() - 1);
      std::sort(own.begin(), own.end());
      own.erase(std::unique(own.begin(), own.end()), own.end());
      found_.token_gradients[w] = at::empty({static_cast<int64_t>(own.size()), weight_.size(1)});
    });
  }

  std::vector<Tile> cut() const {
    int64_t most = 1;
    for (const at::Tensor& state : finals_) most = std::max(most, state.size(0));
    const auto schemes = screened_ ? static_cast<int64_t>(pass_.errors.schemes()) : 0;
    const auto own = std::min<int64_t>(pass_.threads, static_cast<int64_t>(windows_.size()));
    // Weights and errors, and per thread the logits and the gradient.
    const int64_t bytes = 4 * ((1 + schemes) * weight_.size(1) + own * (2 * most + weight_.size(1)));
    const int64_t step = vocabulary_tile(vocabulary_, bytes, pass_.memory.tile_bytes);
    std::vector<Tile> tiles;
    for (int64_t first = 0; first < vocabulary_; first += step)
      tiles.push_back({first, std::min(step, vocabulary_ - first)});
    return tiles;
  }

  static std::vector<at::Tensor> narrowed(const std::vector<at::Tensor>& errors, const Tile& tile) {
    std::vector<at::Tensor> rows;
    for (const at::Tensor& error : errors)
      rows.push_back(error.defined() ? error.narrow(0, tile.first, tile.count) : at::Tensor());
    return rows;
  }

  at::Tensor weight_of(const Tile& tile) const {
    return weight_.narrow(0, tile.first, tile.count).to(at::kFloat).contiguous();
  }

  at::Tensor logits(size_t w, const at::Tensor& weight) const {
    return pass_.aten.logits_by({{weight, {}}}, finals_[w]).contiguous();
  }

  void add_bins(size_t w, const Tile& tile, const at::Tensor& values) {
    Rows& rows = rows_[w];
    const int64_t first = tile.first / kLabelBin;
    for (int64_t r = 0; r < values.size(0); ++r)
      bin_sums(values.data_ptr<float>() + r * tile.count, tile.count, rows.largest.data() + r * bins_ + first,
               rows.sums.data() + r * bins_ + first);
  }

  void draw(size_t w) {
    Rows& rows = rows_[w];
    for (int64_t r = 0; r < finals_[w].size(0); ++r) {
      const float* largest = rows.largest.data() + r * bins_;
      const double* sums = rows.sums.data() + r * bins_;
      rows.totals.push_back(combine_bins(largest, sums, bins_));
      const double uniform = uniform_at(pass_.options.seed, windows_[w].index, static_cast<uint64_t>(r));
      rows.places.push_back(place_label(uniform, rows.totals.back(), largest, sums, bins_));
    }
  }

  /// Label of a row, when it is in the tile: its column there; -1 otherwise.
  int64_t label_in(size_t w, int64_t r, const Tile& tile, const float* values) const {
    if (pass_.options.labels == ScreenLabels::kText) {
      const TokenWindow& window = *windows_[w].window;
      const int64_t label = window.tokens[static_cast<size_t>(window.first_row + r + 1)] - tile.first;
      return label >= 0 && label < tile.count ? label : -1;
    }
    const LabelPlace& place = rows_[w].places[static_cast<size_t>(r)];
    const int64_t first = place.bin * kLabelBin - tile.first;
    if (first < 0 || first >= tile.count) return -1;
    const float largest = rows_[w].largest[static_cast<size_t>(r * bins_ + place.bin)];
    return first + label_in_bin(values + first, std::min(kLabelBin, tile.count - first), largest, place.before);
  }

  /// Logits become p - onehot(label), through the soft cap.
  void to_gradient(size_t w, const Tile& tile, at::Tensor& values) {
    const double cap = pass_.model.config().logit_soft_cap;
    const at::Tensor slope = cap > 0 ? 1 - (values / cap).square() : at::Tensor();
    for (int64_t r = 0; r < values.size(0); ++r) {
      float* row = values.data_ptr<float>() + r * tile.count;
      const double log_total = rows_[w].totals[static_cast<size_t>(r)].log_total();
      const int64_t label = label_in(w, r, tile, row);
      if (label >= 0) found_.label_nll[w] += log_total - static_cast<double>(row[label]);
      exp_shifted(row, static_cast<float>(log_total), row, tile.count);
      if (label >= 0) row[label] -= 1;
    }
    if (slope.defined()) values.mul_(slope);
  }

  void add_gradient(size_t w, const Tile& tile, const at::Tensor& values, const at::Tensor& weight,
                    const std::vector<at::Tensor>& errors) {
    found_.states[w].addmm_(values, weight);
    if (!screened_) return;
    const at::Tensor gradient = at::mm(values.t(), finals_[w]);
    std::vector<const float*> pointers;
    for (const at::Tensor& error : errors) pointers.push_back(error.defined() ? error.data_ptr<float>() : nullptr);
    add_products(pass_.sums.grid(output_), tile.first, tile.count, gradient.data_ptr<float>(), pointers,
                 found_.sums[w]);
    if (found_.tokens.empty()) return;
    const std::vector<int64_t>& tokens = found_.tokens[w];
    for (size_t t = 0; t < tokens.size(); ++t)
      if (tokens[t] >= tile.first && tokens[t] < tile.first + tile.count)
        found_.token_gradients[w][static_cast<int64_t>(t)].copy_(gradient[tokens[t] - tile.first]);
  }

  /// In the order of the windows, whoever computed them.
  void add_squares(const Tile& tile) {
    if (pass_.limit == nullptr) return;
    found_.label_squares.resize(static_cast<size_t>(vocabulary_));
    for (const at::Tensor& squares : squares_) {
      const float* values = squares.data_ptr<float>();
      for (int64_t v = 0; v < tile.count; ++v)
        found_.label_squares[static_cast<size_t>(tile.first + v)] += static_cast<double>(values[v]);
    }
  }

  const ScreenPass& pass_;
  const std::vector<at::Tensor>& finals_;
  const std::vector<ScreenWindow>& windows_;
  const at::Tensor weight_;  // of the file's type
  const int64_t vocabulary_, bins_;
  const TensorId output_;
  const bool screened_;
  std::vector<Rows> rows_;
  std::vector<at::Tensor> squares_;  // of a tile, by window
  OutputGradients found_;
};

}  // namespace

int64_t vocabulary_tile(int64_t vocabulary, int64_t bytes_per_row, int64_t memory_bytes) {
  if (vocabulary * bytes_per_row <= memory_bytes) return vocabulary;
  return std::max<int64_t>(memory_bytes / bytes_per_row / kLabelBin, 1) * kLabelBin;
}

OutputGradients output_gradients(const ScreenPass& pass, const std::vector<at::Tensor>& finals) {
  return Run(pass, finals)();
}

}  // namespace vernier
