#pragma once

// Embedding and output matrix for the limit: too many rows for a covariance of their gradients, so that every row is a
// source of its own.

#include <ATen/core/Tensor.h>

#include <vector>

#include "limit/spectrum.h"
#include "screen/screen_pass.h"

namespace vernier {

/// Counts the directions of rows v whose curvatures are head[v] H + looked_up[v] C, both symmetric float64 with their
/// upper triangle given, times `factor`: by eigenvalues of the pencil at mixtures a factor of sqrt(2) apart and linear
/// between them, which is exact where H and C commute. Returns the sum of all directions.
/// @cost an eigenvalue decomposition per mixture that occurs, at most 99
double count_mixtures(const at::Tensor& H, int64_t rank_H, const std::vector<double>& head, const at::Tensor& C,
                      int64_t rank_C, const std::vector<double>& looked_up, double factor, int threads,
                      SpectrumCounter& counter);

/// Adds the spectra of the embedding and of the output matrix, which may be one; nothing unless the screen makes a limit.
/// @param finals Streams::finals()
/// @param label_squares of the output matrix' rows: sum of (p - onehot)^2 over all scored tokens
/// @param gradients by what enters the first layer, by window [1, positions, hidden]
void add_vocabulary_limit(const ScreenPass& pass, const std::vector<at::Tensor>& finals,
                          const std::vector<double>& label_squares, const std::vector<at::Tensor>& gradients);

}  // namespace vernier
