#pragma once

// What the passes of a screen share.

#include <vector>

#include "engine/aten_model.h"
#include "screen/channels.h"
#include "screen/errors.h"
#include "screen/screen_memory.h"
#include "screen/screen_sums.h"
#include "vernier/screen.h"

namespace vernier {

struct ScreenPass {
  const Model& model;
  const AtenModel& aten;
  const SchemeErrors& errors;
  const ScreenOptions& options;
  int threads;
  MemoryShares memory;
  ScreenSums& sums;
  std::vector<ScreenedMatrix>& matrices;  ///< appended to
  ChannelTable* channels;                 ///< nullptr: none
  Limit* limit;                           ///< nullptr: none; else its tokens are known, and matrices are appended to
};

/// A matrix with all that was found about it: to the components, the list of matrices and the channels.
/// @param windows nullptr where a sequence says nothing; inputs likewise, or empty
void add_matrix(const ScreenPass& pass, const TensorId& id, const std::vector<const GradientSums*>& windows,
                const WeightSums& weights, const std::vector<const InputSums*>& inputs);

}  // namespace vernier
