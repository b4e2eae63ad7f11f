#pragma once

// Sums of all components under all schemes, per sequence: filled matrix by matrix, read as ComponentSums.

#include <map>
#include <vector>

#include "screen/component_sums.h"
#include "screen/errors.h"
#include "screen/hessian.h"
#include "screen/products.h"
#include "screen/slice_grid.h"
#include "screen/token_rows.h"
#include "vernier/screen.h"

namespace vernier {

/// What is differentiated by itself: a sequence of a domain, or an image.
struct ScreenWindow {
  const TokenWindow* window = nullptr;  ///< tokens that go through the stack; nullptr: pixels
  size_t domain = 0;
  uint64_t index = 0;     ///< within its domain
  int64_t cluster = 0;    ///< of windows that are no evidence of their own, one
  int64_t positions = 0;  ///< rows of its stream
  int64_t first_row = 0;  ///< of those that the last layer keeps
  int64_t scored = 0;     ///< labels: one each
};

/// The model reads all tokens but the last, which predicts nothing that is scored.
ScreenWindow screen_window(const TokenWindow& window);

std::vector<ScreenWindow> windows_of(const std::vector<ScreenText>& domains);

class ScreenSums {
 public:
  ScreenSums(const ModelConfig& config, std::vector<Component> components, std::vector<ScreenWindow> windows,
             size_t schemes, bool rows);

  const std::vector<Component>& components() const { return components_; }
  const std::vector<ScreenWindow>& windows() const { return windows_; }
  const SliceGrid& grid(const TensorId& id) const { return matrices_.at(id).grid; }
  bool has(const TensorId& id) const { return matrices_.contains(id); }
  /// Slices of a matrix, each once, with the components that they are part of.
  struct Slice {
    WeightSlice slice;
    std::vector<size_t> cells, components;
  };
  const std::vector<Slice>& slices(const TensorId& id) const { return matrices_.at(id).slices; }

  /// All of one matrix: by window what its gradients say, and its errors.
  void add(const TensorId& id, const std::vector<const GradientSums*>& windows, const WeightSums& weights);
  /// What its rows say about one slice under one scheme.
  void add_rows(const Slice& slice, size_t scheme, const RowSums& sums);
  void add_top_eigenvalue(const Slice& slice, size_t scheme, size_t domain, double value);
  /// The matrices that rows are not gathered of leave nothing to say about the components with them.
  void without_rows(const TensorId& id);
  /// Traces of a domain; after all matrices were added.
  void add_hessian(size_t domain, const HessianProbes& probes);

  ComponentSums of(size_t component, size_t scheme, size_t domain) const;

 private:
  struct Matrix {
    SliceGrid grid;
    std::vector<Slice> slices;
    WeightSums weights;  // once added
  };
  size_t place(size_t component, size_t scheme) const { return component * schemes_ + scheme; }
  double* row(std::vector<double>& sums, size_t component, size_t scheme) {
    return sums.data() + place(component, scheme) * windows_.size();
  }

  std::vector<Component> components_;
  std::vector<ScreenWindow> windows_;
  size_t schemes_, domains_;
  std::map<TensorId, Matrix> matrices_;
  std::vector<double> dots_, diagonal_, fit_, kfac_twice_, output_error_;  // [components][schemes][windows]
  std::vector<double> weight_squares_, error_squares_, error_products_;    // [components][schemes]
  std::vector<double> top_eigenvalue_;                                     // [components][schemes][domains]
  std::vector<Measured> hessian_;                                          // the same
  std::vector<bool> no_rows_;                                              // [components]
};

}  // namespace vernier
