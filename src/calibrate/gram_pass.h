#pragma once

// The second moments of what enters the matrices of a layer, made again from the calibration's text, or images, when they are
// asked for: of a model with 1e9 parameters they take 5 GB for every part of the text, too much to store beside it, while the
// pass that makes them costs far less than any search that wants them.
//
//   GramPass pass(model, calibration, threads);
//   const InputGrams* grams = pass.at({Site::kFfnInput, 3});       // runs layers 0 to 3

#include <map>
#include <vector>

#include "engine/fused_model.h"
#include "ops/arena.h"
#include "vernier/calibrate.h"
#include "vernier/model.h"

namespace vernier {

/// Which windows make a part: those of one of the joined texts. A text that is one, or of more than kMostParts, is cut
/// into so many consecutive pieces.
inline constexpr int64_t kMostParts = 5;
std::vector<size_t> parts_of(const std::vector<CalibrationWindow>& text);
/// The same of as many images, in turns that shift from round to round: they may stand class after class, or in turns.
std::vector<size_t> parts_of_images(int64_t count);

class GramPass {
 public:
  /// Both must outlive it. @param model with one stack (stack_of)
  /// @throws Error{kInvalidArgument} for a calibration without text, of a model that sees without images
  GramPass(const Model& model, const Calibration& calibration, int threads);

  /// Of a site of a layer; nullptr where nothing entered it, and for sites that belong to no layer. Valid until another
  /// layer is asked for. The bits do not depend on the number of threads.
  /// @cost a forward pass over the layers since the last one asked for, over all of them after a later one; memory: the
  ///       stream of the text, [tokens, hidden] in float32, and of one layer's sites their [in, in] for each part
  /// @throws Error{kInvalidArgument} for ids outside the vocabulary, images of another size
  const InputGrams* at(const SiteId& site);

 private:
  void restart();
  void run_layer();
  Slab enter(Arena& arena, size_t input) const;

  const Model& model_;
  const Calibration& calibration_;
  int threads_;
  std::vector<size_t> parts_;  // by input: a window of text, an image
  FusedModel fast_;
  std::vector<Arena> arenas_;           // one per worker
  int next_ = 0;                        // layer that the streams enter
  std::vector<at::Tensor> streams_;     // by input [rows, hidden]
  std::vector<int64_t> rows_;           // by input, of its stream as it enters
  std::map<SiteId, InputGrams> grams_;  // of layer next_ - 1
};

}  // namespace vernier
