#pragma once

// A model whose layers are quantized one after the other, each on what the layers before it have become, towards what
// leaves it in the model as it was.
//
//   LearnedLayers layers(model, text, parts, embedding, schedule, threads);
//   while (layers.count() < depth) layers.add(rounded, found, learning, metric);   // the next layer
//   layers.made().stored(id);                                              // with what was learned

#include <vector>

#include "quantize/learn_rounding.h"
#include "vernier/calibrate.h"
#include "vernier/model.h"

namespace vernier {

/// A layer as it may be stored: norms and biases, which folds change, and matrices.
struct LayerCandidate {
  std::map<TensorId, at::Tensor> plain;
  std::map<TensorId, StoredMatrix> stored;
};

class LearnedLayers {
 public:
  /// All but `embedding` must outlive it. @param parts of each window, as parts_of gives
  /// @param embedding as it is quantized, [vocabulary, hidden]
  /// @cost memory: the streams of the text twice, float32 [tokens, hidden]
  LearnedLayers(const Model& model, const std::vector<CalibrationWindow>& text, const std::vector<size_t>& parts,
                const at::Tensor& embedding, const LearningSchedule& schedule, int threads);

  /// How many layers are there.
  int count() const { return count_; }
  /// The next layer: the better of `rounded` (to nearest) and `found` on a part of the text, another one for each layer,
  /// and what is learned from `found` on the other parts where it is better still. With one part there is nothing to
  /// judge by, and it is `found`. `learning`: those of its matrices that may learn.
  /// @param metric what an error in what leaves the layer costs, symmetric [hidden, hidden]
  void add(const LayerCandidate& rounded, const LayerCandidate& found, const std::vector<LearnedMatrix>& learning,
           const at::Tensor& metric);

  /// The model with the layers that are there.
  const Model& made() const { return made_; }

 private:
  LearningText text_of_layer() const;

  Model made_;
  const std::vector<size_t> parts_;
  LearningSchedule schedule_;
  int threads_;
  AtenModel exact_;
  int count_ = 0;
  std::vector<at::Tensor> wanted_, entering_;  // by window [1, positions, hidden]
};

}  // namespace vernier
