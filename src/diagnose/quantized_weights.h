#pragma once

// What a diagnosis puts in a matrix's place, and the facts about both.

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "vernier/diagnose.h"
#include "vernier/scheme.h"

namespace vernier {

/// The matrices of a model in the scheme of a diagnosis, each made when it is asked for.
class QuantizedWeights {
 public:
  /// `model` and `calibration` must outlive it. @throws Error{kInvalidArgument} for a scheme that does not exist
  QuantizedWeights(const Model& model, const Calibration& calibration, const DiagnoseOptions& options, int threads);

  /// Float32 [rows, cols].
  at::Tensor make(const TensorId& id) const;
  /// @cost a quantization in every candidate
  WeightFacts facts(const TensorId& id, const at::Tensor& quantized) const;
  /// The wanted scheme, or its fallback by shape. A matrix that is stored in it already would show no damage, and a
  /// planner could foretell nothing from that: it is measured in the next coarser candidate.
  Scheme scheme_of(const TensorId& id) const;
  /// What stands in for the wanted scheme and why, a line for all matrices alike.
  std::vector<std::string> fallback_lines() const;

 private:
  const Model& model_;
  const Calibration& calibration_;
  Scheme scheme_;
  std::vector<Scheme> candidates_;
  int threads_;
};

}  // namespace vernier
