#pragma once

// From a plan to stored bytes: every matrix in its scheme, encoded with the importance of its input channels.
// In: a Model, its Calibration, a Plan. Out: a QuantizedModel, whose bytes the exporters write and whose values can be
// evaluated.
//
//   const QuantizedModel q = quantize(model, calibration, plan, /*threads=*/4);
//   evaluate({&q.model}, &model, data);

#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "vernier/calibrate.h"
#include "vernier/model.h"
#include "vernier/plan.h"
#include "vernier/progress.h"
#include "vernier/quantize_tensor.h"
#include "vernier/scheme.h"

namespace vernier {

struct QuantizedModel {
  Plan plan;
  std::string source_hash;  ///< model_hash() of the model it was made from
  /// Its matrices are stored in their schemes; their values are what an engine computes with.
  Model model;
};

/// The scheme of every matrix that the plan names; the plan must name each exactly once.
/// @throws Error{kInvalidArgument}
std::map<TensorId, Scheme> schemes_of(const Plan& plan, const Model& model);

/// `threads`: how many encode one matrix's rows. The result does not depend on it.
/// A matrix that the model already stores in its planned scheme is kept byte for byte.
/// @throws Error{kInvalidArgument} when plan, calibration and model do not belong together or a weight is not finite
QuantizedModel quantize(const Model& model, const Calibration& calibration, const Plan& plan, int threads,
                        ProgressSink* progress = nullptr);

/// A Hugging Face directory with the values an engine would compute with, in float32, and the plan beside them: for
/// schemes that no exporter stores yet, and for other tools to measure. The model must come from such a directory.
/// @throws Error{kIo, kBadFile}
void save_dequantized(const QuantizedModel& quantized, const std::filesystem::path& folder);
/// The files that save_dequantized may write into its folder.
std::vector<std::string> dequantized_file_names();

}  // namespace vernier
