#pragma once

// The greatest eigenvalue of a Hessian by power iteration and its trace by Hutchinson's random signs.

#include "curvature/loss_surface.h"

namespace vernier {

/// Fills top_eigenvalue, iterations and converged.
void find_top_eigenvalue(const LossSurface& surface, const CurvatureOptions& options, GroupCurvature& found);
/// Fills trace and probes.
void estimate_trace(const LossSurface& surface, const CurvatureOptions& options, GroupCurvature& found);

}  // namespace vernier
