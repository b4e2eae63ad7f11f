#pragma once

// The loss of each group of examples as a surface over the weights: how steep it is, how bent, and what that foretells of
// quantizing. In: a Model and the examples of each group. Out: a GroupCurvature per group, and the records of the chain
// test (group_chain.h).
//
//   const LossOfExamples loss = loss_of_windows(data);
//   const std::vector<GroupCurvature> groups = group_curvature(model, &quantized, loss, examples_by_group(data), {});
//   print(groups[0].gradient_norm, groups[0].top_eigenvalue, groups[0].trace.mean, groups[0].expansion->foretold());

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "vernier/classify.h"
#include "vernier/data.h"
#include "vernier/group_chain.h"
#include "vernier/groups.h"
#include "vernier/labelled_images.h"
#include "vernier/measured.h"
#include "vernier/model.h"
#include "vernier/progress.h"
#include "vernier/site.h"

namespace vernier {

/// Examples as a loss that can be differentiated twice.
struct LossOfExamples {
  std::string name = {};
  int64_t count = 0;
  int64_t at_once = 1;               ///< examples whose graph may be in memory together
  std::vector<double> weights = {};  ///< how much an example counts in a mean: its scored tokens; empty: 1 each
  /// Sum over some examples of their loss (nats) times their weight, differentiable with respect to every weight of
  /// the model that requires a gradient; in the type and on the device of the weights.
  std::function<at::Tensor(const Model& model, std::span<const int64_t> examples)> sum = {};
  /// Shows what enters every site of the model [rows, channels] on some examples. Experts are left out: which rows they
  /// get is the router's choice.
  std::function<void(const Model& model, std::span<const int64_t> examples,
                     const std::function<void(const SiteId&, const at::Tensor&)>& visit)>
      observe = {};

  double weight(int64_t example) const { return weights.empty() ? 1.0 : weights[static_cast<size_t>(example)]; }
};

/// Windows of text, weighted by their scored tokens. `data` must outlive it.
LossOfExamples loss_of_windows(const EvaluationData& data);
/// Cross entropy of the labels: a classifier's, or CLIP's by prompts (through both of its towers). Images are decoded
/// each time they are asked for. `images` must outlive it.
/// @throws as classify_images
LossOfExamples loss_of_images(const Model& model, const LabelledImages& images, const ClassifyOptions& options = {});

/// Indices of examples by the name of their group.
using ExamplesByGroup = std::map<std::string, std::vector<int64_t>>;
/// Windows by the group of their document.
ExamplesByGroup examples_by_group(const EvaluationData& data);
/// @throws Error{kInvalidArgument} naming the attributes when there is none of this name
ExamplesByGroup examples_by_group(const GroupedExamples& examples, const std::string& attribute);

/// With respect to what losses are differentiated.
enum class CurvatureOf {
  kMatrices,       ///< what is quantized
  kAllParameters,  ///< norms, biases, positions and tokens too
};

struct CurvatureOptions {
  CurvatureOf of = CurvatureOf::kMatrices;
  int64_t max_examples = 256;     ///< of a group, evenly spaced; 0: all
  int max_iterations = 100;       ///< of the power iteration
  double eigen_tolerance = 1e-3;  ///< relative change of the eigenvalue at which it stops; 0 iterations: none is sought
  int min_probes = 10, max_probes = 100;  ///< of the trace; 0: it is left out
  double trace_tolerance = 1e-3;          ///< relative change of the running mean at which probes stop
  uint64_t seed = 1;
  bool float64 = false;        ///< instead of float32: twice the memory
  std::string device = "cpu";  ///< of plain ATen: "cpu", "cuda", "cuda:1"
};

/// The loss after quantizing, foretold by the second-order expansion around the weights.
struct LossExpansion {
  double first = 0;   ///< g dw
  double second = 0;  ///< dw H dw / 2
  double real = 0;    ///< what the loss of the same examples really changed by
  double foretold() const { return first + second; }
};

/// Of the weighted mean loss of a group, in nats.
struct GroupCurvature {
  std::string group;
  int64_t examples = 0;  ///< of which it is the mean
  CurvatureOf of = CurvatureOf::kMatrices;
  double loss = 0;
  double gradient_norm = 0;
  std::map<TensorId, double> gradient_norms = {};  ///< of each tensor that was differentiated
  double top_eigenvalue = kNotMeasured;            ///< the one of the greatest magnitude
  int iterations = 0;
  bool converged = false;  ///< within max_iterations
  Measured trace{kNotMeasured, kNotMeasured};
  int probes = 0;
  std::optional<LossExpansion> expansion = {};  ///< with a quantized model
};

/// Gradients and products with the Hessian by differentiating twice; examples go through in turns of
/// LossOfExamples::at_once, and their products are summed.
/// @source PyHessian (arXiv 1912.07145): power iteration until the eigenvalue changes by less than a tolerance relative to
///         itself, Hutchinson's trace over random signs until its running mean does. Here at least min_probes probes, whose
///         standard error is told, since a running mean also stands still by luck.
/// @cost per group and product with the Hessian about 6 forward passes over its examples; in memory 6 copies of what is
///       differentiated and the graph of at_once examples
/// @throws Error{kInvalidArgument} for groups without examples, examples out of range, a quantized model of another shape,
///         losses that are not finite
std::vector<GroupCurvature> group_curvature(const Model& model, const Model* quantized, const LossOfExamples& loss,
                                            const ExamplesByGroup& groups, const CurvatureOptions& options = {},
                                            ProgressSink* progress = nullptr);

/// How far what flows through a model moved: norm of the difference over the norm of what was, over a group's examples.
struct ActivationChange {
  std::string group;
  std::map<SiteId, double> sites = {};
  double read_out = kNotMeasured;  ///< of what the last matrix multiplies
  double mean = kNotMeasured;      ///< over the sites, each counting the same
};
/// In float32; of CLIP its image tower. @cost two forward passes over the examples @throws as group_curvature
std::vector<ActivationChange> activation_change(const Model& reference, const Model& quantized,
                                                const LossOfExamples& loss, const ExamplesByGroup& groups,
                                                const CurvatureOptions& options = {}, ProgressSink* progress = nullptr);

/// What the chain test asks of the models themselves (curvature, activations), measured once for each quantized model and
/// attribute however often it is asked, and the reference's own spectrum once for all of them.
class MeasuredCauses {
 public:
  /// `reference` must outlive it, and `progress` where there is one.
  MeasuredCauses(const Model& reference, LossOfExamples loss, const CurvatureOptions& options = {},
                 ProgressSink* progress = nullptr);

  /// Fills gradient, eigenvalue, expansion and activations of the records whose group has examples. `quantized` must
  /// outlive it. @cost, the first time, group_curvature and activation_change @throws as group_curvature
  void complete(const Model& quantized, const std::string& attribute, const ExamplesByGroup& examples,
                std::vector<ChainRecord>& records);

  /// Of the reference, by attribute.
  const std::map<std::string, std::vector<GroupCurvature>>& of_reference() const { return of_reference_; }

 private:
  using Causes = std::map<std::string, ChainRecord>;  // by group
  Causes measure(const Model& quantized, const std::string& attribute, const ExamplesByGroup& examples,
                 const std::vector<ChainRecord>& records);

  const Model& reference_;
  LossOfExamples loss_;
  CurvatureOptions options_;
  ProgressSink* progress_;
  std::map<std::string, std::vector<GroupCurvature>> of_reference_;
  std::map<std::pair<const Model*, std::string>, Causes> causes_;
};

nlohmann::ordered_json curvature_to_json(const std::vector<GroupCurvature>& groups);

}  // namespace vernier
