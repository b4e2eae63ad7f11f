#pragma once

// A screen and what was confirmed of it as a diagnosis, so that whoever reads diagnoses reads both.

#include "vernier/calibrate.h"
#include "vernier/confirm.h"
#include "vernier/diagnose.h"
#include "vernier/screen.h"

namespace vernier {

/// Every component of the screen at `scheme`, foretold (the mean over domains, by the confirmed factor) or, for the matrices
/// that were measured, exact. Nothing is said of losses, first choices and everything at once, which nobody measured.
/// @throws Error{kInvalidArgument} when the screen lacks the scheme
Diagnosis foretold_diagnosis(const Model& model, const Calibration& calibration, const Screen& screen,
                             const Confirmation& confirmation, const std::string& scheme);

}  // namespace vernier
