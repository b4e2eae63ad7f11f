#pragma once

// A text token by token: keys and values of earlier tokens are kept, so that a token costs one row and not all before it.
//
//   CachedForward writer(model, texts, longest);
//   at::Tensor logits = writer.next(beginnings);        // [texts, vocabulary]: what follows the last of them
//   for (...) logits = writer.next(chosen(logits));     // int64 [texts, 1]

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "engine/aten_model.h"

namespace vernier {

class CachedForward {
 public:
  /// Texts of at most `longest` tokens, which the model must have positions for, and which it must outlive.
  CachedForward(const AtenModel& model, int64_t texts, int64_t longest);

  /// ids int64 [texts, new >= 1] on the model's device: what comes after the tokens of earlier calls.
  /// @return logits [texts, vocabulary] after the last one
  /// @throws Error{kInvalidArgument} for more tokens than `longest` in all
  at::Tensor next(const at::Tensor& ids);

  /// Bytes that one text takes.
  static int64_t bytes_per_text(const ModelConfig& config, int64_t longest);

 private:
  const AtenModel& model_;
  int64_t texts_, longest_, count_ = 0;
  std::vector<KeptTokens> kept_;  // by layer
};

}  // namespace vernier
