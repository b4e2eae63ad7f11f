#pragma once

// Codes of some rows of a matrix whose scales are chosen: what every search over codes is given.

#include <ATen/core/Tensor.h>

#include <vector>

#include "quantize/curvature.h"
#include "scheme/grid.h"

namespace vernier {

struct CodeRows {
  const Grid& grid;
  const at::Tensor& weight;        ///< float32 [n, cols], contiguous
  const std::vector<Step>& steps;  ///< [n, cols / grid.segment_cols]
  std::vector<Code>& codes;        ///< [n, cols]
};

/// The values that the codes stand for. @shape float32 [n, cols]
at::Tensor values_of(const CodeRows& rows);

/// Every code by itself; of a codebook of several weights the set of least squared error by `columns`, as column_weights
/// makes them.
void round_to_nearest(const CodeRows& rows, const std::vector<float>& columns);
/// Column by column, the error of each made up for by those that are still to come.
/// @source GPTQ (arXiv:2210.17323), act-order and lazy updates in blocks of 128 columns. Here scales are those of the
///         whole matrix beforehand (static groups), on any grid, and damping is Curvature's. Columns of a codebook of
///         several weights are chosen together, by what each error costs once the later columns make up for it
/// @param curvature of the grid's joint_cols
/// @cost n cols^2 operations
void feed_back(const CodeRows& rows, const Curvature& curvature);
/// Moves codes one at a time to where e H e' is least, the others held, until none moves or `passes` are over. Never worse.
/// Of a codebook of several weights those that belong together, to where a bound of e H e' without their correlations is
/// least.
/// @cost n cols^2 operations for a start, and n cols for each code that moves
void descend(const CodeRows& rows, const Curvature& curvature, int passes);

}  // namespace vernier
