#pragma once

// The mean loss of some examples as a function of some weights: its value, its gradient, and products with its Hessian.

#include <ATen/core/Tensor.h>

#include <random>
#include <span>
#include <vector>

#include "vernier/curvature.h"

namespace vernier {

/// A vector in the space of the weights: a tensor for each of them.
using WeightVector = std::vector<at::Tensor>;

double dot(const WeightVector& a, const WeightVector& b);
double norm(const WeightVector& a);

class LossSurface {
 public:
  /// Copies the model to the options' device and type. `loss` must outlive it.
  /// @throws Error{kInvalidArgument} when `examples` is empty or names one that is not there
  LossSurface(const Model& model, const LossOfExamples& loss, const CurvatureOptions& options);

  const std::vector<TensorId>& parameters() const { return parameters_; }
  const WeightVector& weights() const { return leaves_; }
  void set_examples(std::vector<int64_t> examples);

  struct Slope {
    double loss = 0;
    WeightVector gradient;
  };
  double loss() const;
  Slope slope() const;
  WeightVector hessian_times(const WeightVector& direction) const;

  /// +1 and -1, or normal.
  WeightVector random_signs(std::mt19937_64& random) const;
  WeightVector random_normal(std::mt19937_64& random) const;

 private:
  /// Calls fn(mean loss of a part of the examples, times its share of them).
  template <class Fn>
  void for_parts(Fn&& fn) const;
  WeightVector zeros() const;

  const LossOfExamples* loss_;
  Model model_;
  std::vector<TensorId> parameters_;
  WeightVector leaves_;
  std::vector<int64_t> examples_;
  double total_weight_ = 0;
};

/// `model` with all tensors as the options say; those of options.of are leaves of a graph where `differentiable`.
Model placed(const Model& model, const CurvatureOptions& options, bool differentiable);
/// What options.of says of a model.
std::vector<TensorId> parameters_of(const Model& model, CurvatureOf of);
/// At most options.max_examples of them. @throws Error{kInvalidArgument} for none, and for ones that are not there
std::vector<int64_t> some_of(const std::string& group, const std::vector<int64_t>& examples, const LossOfExamples& loss,
                             const CurvatureOptions& options);
/// @throws Error{kInvalidArgument} unless both have the same tensors
void require_same_shape(const Model& reference, const Model& quantized);

}  // namespace vernier
