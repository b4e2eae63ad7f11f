#pragma once

// A matrix while it is trained: full-precision weights that learn, and the grid of its scheme onto which they are rounded
// wherever the model sees them. What it sees is decode() of the very bytes that are exported.
//
//   TrainedMatrix matrix(Scheme::parse("gguf:q3_k"), rows, cols, importance, at::kCUDA);
//   matrix.fit(latent, threads);                  // chooses scales: slow on K-quants, so every few dozen steps
//   const at::Tensor seen = matrix.seen(latent);  // rounds to codes on those scales: a few elementwise passes
//   matrix.stored(latent).values();               // the same bits

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <vector>

#include "quantize/joint_rounding.h"
#include "quantize/learned_steps.h"
#include "quantize/rounding.h"
#include "scheme/grid.h"
#include "vernier/stored_matrix.h"

namespace vernier {

/// What becomes of scales between two fits.
enum class ScalesLearn {
  kNot,
  kBySize,   ///< round_learned: a weight keeps its size when its scale changes
  kInPlace,  ///< round_places: a weight keeps its place among the levels, which is what learns of it
};

class TrainedMatrix {
 public:
  /// `importance`: as encode() takes it. Scales learn where has_learnable_steps, those of codebooks of several weights only
  /// in place.
  /// @throws Error{kInvalidArgument} as grid_of
  TrainedMatrix(const Scheme& scheme, int64_t rows, int64_t cols, const std::vector<float>& importance,
                const at::Device& device, ScalesLearn scales = ScalesLearn::kNot)
      : TrainedMatrix(scheme, {{rows, importance}}, cols, device, scales) {}
  /// Several matrices one below the other, each with its importance.
  struct Rows {
    int64_t count = 0;
    std::vector<float> importance{};
  };
  TrainedMatrix(const Scheme& scheme, const std::vector<Rows>& parts, int64_t cols, const at::Device& device,
                ScalesLearn scales);
  /// Whether the bytes of such matrices, one behind the other, are those of one below the other.
  static bool can_be_stacked(const Scheme& scheme, int64_t rows, int64_t cols);

  const Scheme& scheme() const { return scheme_; }
  /// The format's own fit on the current weights, float32 [rows, cols] on any device. Learned scales begin anew there.
  /// @cost a search over scales for K-quants, on the CPU
  void fit(const at::Tensor& weight, int threads);
  /// What learns of such weights: they themselves, or their places on scales that learn (ScalesLearn::kInPlace). Wherever a
  /// `latent` is taken below that is meant.
  at::Tensor latent_of(const at::Tensor& weight) const;
  bool learns_places() const { return steps_ && scales_learn_ == ScalesLearn::kInPlace; }
  /// Takes scales and codes as somebody else found them.
  void hold(const StoredMatrix& stored);
  /// The same. @return what learns, seen as those values: `weight`, float32 [rows, cols], in parts that were merely rounded
  /// to them, so that it goes to another level as early as it would. In parts whose roundings a search made make up for each
  /// other, or whose scales are folded, all begin in the middle of what they were rounded to: close to boundaries the first
  /// steps tip so many that what was found is lost (docs/finetune_experiments.md). @cost a search where codes are searched
  /// together
  at::Tensor begin(const StoredMatrix& stored, const at::Tensor& weight, int threads);
  /// How far apart levels lie about what each weight is rounded to, [rows, cols], in what learns: the mean of the gaps to
  /// its neighbours, of codebooks of several weights that of all levels. 0 where a scale is, and for plain values.
  at::Tensor level_widths(const at::Tensor& latent) const;
  /// What is seen of codebooks of several weights is what the last fit or recode found; other codes follow their weights,
  /// and nothing happens here. @cost on a GPU JointRounding::codes; on the CPU the exact search, which is faster there
  void recode(const at::Tensor& latent, int threads);
  bool is_joint() const { return !plain_ && grid_->joint_cols > 1; }
  /// The steps that learn; nullptr where none do, and before the first fit. Their leaves are the caller's to change.
  const LearnedSteps* learned_steps() const { return steps_ ? &*steps_ : nullptr; }

  /// What the model multiplies with, float32 [rows, cols]; differentiable. `dropped`: on the grid without its outer half,
  /// where codes stand for one weight each.
  at::Tensor seen(const at::Tensor& latent, bool dropped = false) const;
  /// Moves weights that lie more than half a level beyond the outermost one back to there, in place. Gradients that go
  /// straight through push them on although nothing is seen of it, and they would have to come all the way back to count
  /// again. Nothing happens where scales learn by size, which leaves no gradient there, and to codebooks of several weights.
  void bound(const at::Tensor& latent) const;
  /// Moves weights by this share of their way to what they are rounded to, in place; those beyond the outermost level too,
  /// and sets of a codebook to the codes of the last recode. Nothing happens where a scale is 0, and to plain values.
  void dampen(const at::Tensor& latent, double share) const;

  /// From one level to the next as fitted, the mean over the matrix; of codebooks of several weights the mean of the
  /// values' size; 0 of values that are stored as they are.
  double level_width() const;
  /// The same in what learns: of places that of the levels themselves.
  double latent_width() const { return learns_places() ? mean_gap() : level_width(); }
  /// The bytes of what is seen.
  StoredMatrix stored(const at::Tensor& latent, int threads = 1) const;

  /// Scales as the last fit stored them, and codes that are searched together, uint8 on the CPU: with the leaves of
  /// learned_steps() all that a checkpoint needs.
  at::Tensor fitted() const;
  int64_t fitted_bytes() const { return static_cast<int64_t>(stored_.size()); }
  /// Steps that learn begin anew there. @throws Error{kInternal} for another size
  void restore(const at::Tensor& fitted);

 private:
  void begin_learning();
  at::Tensor segments(const at::Tensor& latent) const;
  at::Tensor nearest_values(const at::Tensor& weight, int threads) const;
  RoundingGrid current_grid() const;
  RoundingGrid latent_grid() const;  // on which what learns is rounded
  at::Tensor gaps_at(const RoundingGrid& grid, const at::Tensor& x) const;
  double mean_gap() const;
  void read_steps();
  at::Tensor joint_codes(const at::Tensor& x, const at::Tensor& scale, int threads) const;
  void take(const at::Tensor& codes);
  at::Tensor searched_codes(const at::Tensor& x, const at::Tensor& scale, int threads) const;
  std::vector<std::byte> bytes_now(int threads) const;
  const float* weights_of(int64_t row) const;
  void read_levels();

  Scheme scheme_;
  std::unique_ptr<Grid> grid_;
  std::optional<at::ScalarType> plain_;  // of values stored as they are: no grid
  struct Weights {
    int64_t first_row = 0, end_row = 0;
    std::vector<float> of_columns;
    at::Tensor placed{};  // on the device, of codebooks of several weights
  };
  std::vector<Weights> weights_;  // by part
  at::Device device_;
  ScalesLearn scales_learn_;
  Code lowest_code_ = 0;
  double least_ = 0, most_ = 0;    // levels: half a gap beyond the outermost
  std::vector<std::byte> stored_;  // scales; the codes in it mean nothing, unless they are searched together
  std::optional<JointRounding> joint_;
  at::Tensor held_;   // levels of codes that are searched together, float32 [rows, cols]
  at::Tensor codes_;  // of the last recode, uint8 [rows, cols]; undefined: those in stored_
  RoundingGrid rounding_;
  std::optional<LearnedSteps> steps_;
};

}  // namespace vernier
