#pragma once

// From a plan to stored bytes: every matrix in its scheme, its values searched by the plan's method.
// In: a Model, its Calibration, a Plan. Out: a QuantizedModel: a description that encodes a matrix when it is asked for,
// so that what writes a file holds one matrix at a time.
//
//   const QuantizedModel q = quantize(model, calibration, plan, /*threads=*/4);
//   export_model(find_target("llama.cpp"), q, tokenizer_model, "model.gguf");
//   const Model made = q.in_memory();               // to evaluate without a file
//   evaluate({&made}, &model, data);

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "vernier/calibrate.h"
#include "vernier/model.h"
#include "vernier/plan.h"
#include "vernier/progress.h"
#include "vernier/scheme.h"
#include "vernier/search_effect.h"
#include "vernier/value_search.h"

namespace vernier {

class QuantizedModel {
 public:
  const Plan& plan() const { return plan_; }
  /// The model it is made from, as it was: what a method folds is in values(). Shares its tensors and mapped files.
  const Model& source() const { return source_; }
  /// model_hash() of the source.
  const std::string& source_hash() const { return source_hash_; }
  /// Of every matrix; other tensors stay in float32.
  const std::map<TensorId, Scheme>& schemes() const { return schemes_; }

  /// A matrix in its scheme. One that the source already stores so is kept byte for byte.
  /// @cost searches its values, each time; of methods that need Gram matrices those of all matrices of its layer, which are
  ///       kept until another layer is asked for
  /// @throws Error{kInvalidArgument} naming the matrix when a weight is not finite
  StoredMatrix stored(const TensorId& id) const;
  /// What an engine computes with, float32 contiguous, of any tensor. @cost as stored()
  at::Tensor values(const TensorId& id) const;
  /// Of the matrices that stored() was asked for.
  SearchEffect search_effect() const;
  /// All of it at once: matrices stored in their schemes. @throws as stored()
  Model in_memory(ProgressSink* progress = nullptr) const;

 private:
  friend QuantizedModel quantize(const Model& model, const Calibration& calibration, const Plan& plan, int threads);
  QuantizedModel(const Model& model, const Calibration& calibration, const Plan& plan, int threads);

  Plan plan_;
  Model source_;
  std::string source_hash_;
  std::map<TensorId, Scheme> schemes_;
  struct Searching;
  std::shared_ptr<Searching> searching_;
};

/// Whether a method can search the model's values, before anything is measured. @throws Error{kUnsupported} saying what can
void check_value_search(const ValueSearch& search, const Model& model);

/// The tensors that the plan's entries name, in their order: every matrix of the model once.
/// @throws Error{kInvalidArgument} when plan and model do not belong together
std::vector<TensorId> tensors_of(const Plan& plan, const Model& model);
/// The scheme of every matrix. @throws as tensors_of
std::map<TensorId, Scheme> schemes_of(const Plan& plan, const Model& model);

/// `calibration`: of this model; one made by nobody, Calibration(), where the plan's method needs none.
/// `threads`: how many encode one matrix's rows. The result does not depend on it.
/// @throws Error{kInvalidArgument} when plan, calibration and model do not belong together or the plan's method is
///         unknown; {kUnsupported} where that method is not for such models
QuantizedModel quantize(const Model& model, const Calibration& calibration, const Plan& plan, int threads);

}  // namespace vernier
