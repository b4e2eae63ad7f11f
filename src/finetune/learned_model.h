#pragma once

// All that learns of a model: every tensor as a leaf in float32, matrices behind the rounding of their schemes.

#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "finetune/adamw.h"
#include "finetune/singular_band.h"
#include "quantize/trained_matrix.h"
#include "vernier/model.h"

namespace vernier {

/// A checkpoint's content of a model: stored bytes of matrices, float32 of everything else, on the CPU.
using KeptWeights = std::map<TensorId, at::Tensor>;

class LearnedModel {
 public:
  struct Options {
    at::Device device = at::kCPU;
    ScalesLearn scales = ScalesLearn::kNot;
    double scale_rate = 0;  ///< in place: a learning rate of 1 moves them by this share of their size
    double weight_decay = 0;
    std::set<TensorId> held{};  ///< these do not learn
    int64_t singular_band =
        -1;  ///< of matrices only so many diagonals beside the singular values learn; -1: all weights
    bool rates_by_level = false;  ///< rates are shares of a level's width, about each weight its own
    /// Matrices that are rounded alike are rounded at once, one below the other: a few operations for all of them.
    bool stacked = true;
    int threads = 1;  ///< of searches for codes, where everything begins
  };
  /// `schemes`: of the matrices that are rounded; the others are as they are. `source` must outlive it. `start`: where
  /// everything begins, matrices stored in their schemes; `source` itself for its weights, with scales that begin() fits.
  LearnedModel(const Model& source, const Model& start, const std::map<TensorId, Scheme>& schemes,
               const std::map<TensorId, std::vector<float>>& importances, const Options& options);

  /// Fits the scales of all matrices that did not begin with some.
  void begin(int threads);
  /// Fits the scales of all matrices to their weights of now, of those that do not learn only once.
  void fit(int threads);
  /// Looks for codes of codebooks of several weights anew.
  void recode(int threads);
  /// After every step: scales that learn keep their sign, weights stay within half a level of those that are there
  /// (TrainedMatrix::bound) and are moved by a share of the way to theirs (TrainedMatrix::dampen).
  void settle(double dampening);

  /// The model as it computes now: a forward pass through it is differentiable with respect to parameters(). `dropped`:
  /// of each entry, which are tensors() one by one unless they are stacked, whether it loses its outer levels.
  Model seen(const std::function<bool(size_t entry)>& dropped = {}) const;
  /// What learns; names() alike. Rates by level are those of now.
  std::vector<AdamWParameter> parameters() const;
  std::vector<std::string> names() const;

  KeptWeights keep(int threads) const;
  /// A model of kept weights: matrices in their schemes.
  Model model_of(const KeptWeights& kept) const;
  /// Of what a file held. @throws Error{kBadFile} naming `origin` where a model cannot be made of it
  void check_kept(const KeptWeights& kept, const std::string& origin) const;

  /// By name: weights, scales as fitted, scales that learn.
  std::map<std::string, at::Tensor> state() const;
  /// @throws Error{kBadFile} naming `origin` where something is missing or of another shape
  void restore(const std::map<std::string, at::Tensor>& state, const std::string& origin);

 private:
  struct Member {
    TensorId id;
    int64_t rows = 0;
  };
  /// A tensor, or matrices that are rounded together.
  struct Entry {
    TensorId id;  // of the first one
    std::vector<Member> members{};
    at::Tensor latent;  // what learns of it (TrainedMatrix::latent_of), a leaf, unless its band learns in its place
    std::optional<TrainedMatrix> matrix;
    bool learns = true, fitted = false;
    std::optional<SingularBand> band;
    at::Tensor values() const { return band ? band->values() : latent; }
    const at::Tensor& leaf() const { return band ? band->band() : latent; }
    const LearnedSteps* steps() const { return matrix ? matrix->learned_steps() : nullptr; }
  };
  void stack(const std::vector<TensorId>& ids, const Scheme& scheme, const Model& start,
             const std::map<TensorId, std::vector<float>>& importances);

  /// `width`: of the levels of its matrix
  double rate_of(const LearnedLeaf& leaf, double width) const;
  /// How wide the levels about each weight are beside the entry's mean; undefined where rates are one for all.
  at::Tensor relative_widths(const Entry& entry) const;

  const Model& source_;
  Options options_;
  std::vector<Entry> entries_;
};

}  // namespace vernier
