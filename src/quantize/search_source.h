#pragma once

// What a value search is given of a model: weights with the layer's folds taken up, and what enters them. Layer by layer,
// one in memory.

#include <map>
#include <memory>
#include <optional>

#include "calibrate/gram_pass.h"
#include "quantize/learned_layers.h"
#include "screen/gradient_pass.h"
#include "vernier/calibrate.h"
#include "vernier/model.h"
#include "vernier/value_search.h"

namespace vernier {

class SearchSource {
 public:
  /// All must outlive it. @param model with one stack (stack_of) @param calibration with its text, or images, where the search
  /// needs Gram matrices
  SearchSource(const Model& model, const Calibration& calibration, const ValueSearch& search,
               const std::map<TensorId, Scheme>& schemes, int threads);

  /// Any tensor's values; those of norms and biases too take up folds. @cost of the layer's first tensor that of its folds
  at::Tensor weight(const TensorId& id);
  /// Bytes for a matrix. @cost of a layer's first matrix, where the search needs Gram matrices, that of all of them: they
  /// are searched side by side. @throws as ValueSearch::run, for any of them
  std::vector<std::byte> search(const TensorId& id);
  /// Of every matrix that was searched, where the search tells: SearchEffect::left.
  const std::map<TensorId, double>& left() const { return left_; }

 private:
  /// A matrix and what its search is given.
  struct Wanted {
    TensorId id;
    const InputGrams* grams = nullptr;
    const InputGrams* output_grams = nullptr;
  };
  struct Found {
    std::vector<std::byte> bytes;
    at::Tensor bias;  // corrected: what is added to the matrix' outputs; undefined where there is none
    std::optional<double> left;
  };

  void enter(int layer);
  void fold(int layer);
  /// Made when it is first asked for.
  GradientPass& gradients();
  /// Of the embedding or the output matrix; nullptr for what is neither.
  const InputGrams* vocabulary_grams_of(const TensorId& id);
  /// Of a matrix of a layer, after folding; nullptr where the search does not use them.
  const InputGrams* output_grams_of(const TensorId& id);
  Wanted wanted(const TensorId& id);
  /// On any thread.
  Found search_matrix(const Wanted& wanted) const;
  /// What is left, by `held_out` (SearchedValues), of the error of rounding the matrix as it was before folding.
  double left_of_rounding(const Wanted& wanted, const std::vector<double>& held_out) const;
  /// All matrices of layer_, with their biases.
  void search_layer();
  /// Mean squares of what enters it, after folding.
  std::vector<float> importance(const TensorId& id) const;
  at::Tensor searched_weight(const TensorId& id);
  /// The model up to a layer whose roundings are learned together; nullptr where the search does not learn.
  const Model* learned_up_to(int layer);
  void learn_next();

  const Model& model_;
  const Calibration& calibration_;
  const ValueSearch& search_;
  const std::map<TensorId, Scheme>& schemes_;
  int threads_;
  std::unique_ptr<GramPass> pass_;  // nullptr where the search needs none
  int layer_ = -1;
  std::optional<Model> folded_;  // of layer_: the others' tensors are the model's
  std::map<SiteId, at::Tensor> scales_;
  std::map<TensorId, at::Tensor> row_scales_;  // what rows of producers were divided by
  std::map<SiteId, InputGrams> grams_;         // after folding
  std::unique_ptr<GradientPass> gradients_;
  std::map<TensorId, InputGrams> vocabulary_;  // once asked for
  std::map<TensorId, InputGrams> outputs_;     // of layer_
  bool searched_ = false;                      // layer_ is
  std::map<TensorId, std::vector<std::byte>> found_;
  std::map<TensorId, double> left_;
  std::map<TensorId, at::Tensor> biases_;  // corrected
  std::unique_ptr<LearnedLayers> learned_;
  std::vector<std::byte> embedding_;  // which the layers learn behind
};

}  // namespace vernier
