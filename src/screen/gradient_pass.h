#pragma once

// How errors of matrices add up in what the model says, beyond one matrix' outputs: second moments of gradients by what
// matrices put out, and of both sides of the embedding and the output matrix, which may be one matrix. Labels are drawn
// from the model, every token's: the Fisher information, which is the curvature of KL.
//
//   GradientPass pass(model, calibration.text, parts_of(calibration.text), threads);
//   pass.tied();                                // tr(E G E') / 2 / rows: nats per token of a tied embedding's errors E
//   pass.at(3).at({TensorRole::kFfnDown, 3});   // [out, out] by part of the text: tr(G E H E') / 2 with H its inputs'

#include <map>
#include <vector>

#include "engine/aten_model.h"
#include "screen/screen_sums.h"
#include "vernier/calibrate.h"
#include "vernier/model.h"

namespace vernier {

class GradientPass {
 public:
  /// The model must outlive it. @param parts of each window, as parts_of gives
  /// @cost a forward and a backward pass over at most 32 of the windows, evenly spaced; memory: what enters every layer and
  ///       its gradient, float32 [tokens, hidden], of fewer windows where that would be more than 2 GiB
  /// @throws Error{kBadFile} when a state is not finite
  GradientPass(const Model& model, const std::vector<CalibrationWindow>& text, const std::vector<size_t>& parts,
               int threads);

  /// E|dz|^2 E[h h'] with h the normed states and dz the gradient by the logits: what an error in the output matrix costs.
  const InputGrams& output() const { return output_; }
  /// E[g g'] with g the gradient by an embedded token: what one in the embedding costs.
  const InputGrams& look_up() const { return look_up_; }
  /// Their sum. @source a row v of a tied matrix has E[dz_v^2] E[h h'] + f_v E[g g'] with f_v its share of the tokens;
  ///         E[dz_v^2] is close to f_v E|dz|^2, so that one matrix serves all rows
  InputGrams tied() const;

  /// E[g g'] with g the gradient by what leaves a layer, of the last one by the normed states: what an error there costs.
  InputGrams leaving(int layer) const;

  /// By matrix of a layer, E[g g'] with g the gradient by what it puts out, tokens that an expert did not get as zeros.
  /// Positions are taken as independent, so that of what attention mixes the level is too low (attn_v of random models: 0.3 to
  /// 0.6 of what its errors cost); relations between rows are what it is for. Valid until another layer is asked for. @cost a backward pass through the layer
  const std::map<TensorId, InputGrams>& at(int layer);

 private:
  const Model& model_;
  int threads_;
  std::vector<size_t> parts_;  // by window; before the tokens, which are chosen together with them
  std::vector<TokenWindow> tokens_;
  size_t part_count_ = 0;
  std::vector<ScreenWindow> windows_;
  AtenModel aten_;
  std::vector<std::vector<at::Tensor>> entering_, leaving_gradients_;  // by layer and window
  InputGrams output_, look_up_;
  int layer_ = -1;
  std::map<TensorId, InputGrams> grams_;  // of layer_
};

}  // namespace vernier
