#pragma once

// Which component breaks when it is quantized: each head, KV head, feed-forward block, matrix, layer and embedding is
// quantized alone while everything else stays in full precision, and the change of the next-token distribution is
// measured. With its controls: quantize nothing (must be 0), the noise floor of the arithmetic, everything at once.
// In: a Model, its Calibration, token windows or labelled images. Out: a Diagnosis, stored as diagnosis.json.
//
//   const Diagnosis d = diagnose(model, calibration, windows, {.scheme = "gguf:q4_k"});
//   for (const ComponentDamage& c : d.components) print(name_of(c.component), c.kl.mean, c.kl.standard_error);

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "vernier/calibrate.h"
#include "vernier/component.h"
#include "vernier/compute.h"
#include "vernier/data.h"
#include "vernier/measured.h"
#include "vernier/model.h"
#include "vernier/progress.h"
#include "vernier/vision_inputs.h"

namespace vernier {

struct DiagnoseOptions {
  std::string scheme = "gguf:q4_k";
  /// Kinds of components to measure; all by default.
  std::set<ComponentKind> kinds = all_component_kinds();
  /// Schemes whose weight error is measured beside `scheme`, so that a planner can extrapolate the measured damage.
  std::vector<std::string> candidates;
  bool joint = true;  ///< also everything at once, for the additivity ratio
  ComputeOptions compute;
  /// Folder in which finished layers are kept, so that a killed sweep goes on where it was; "" keeps nothing.
  std::filesystem::path checkpoint;
};

/// What a group of windows loses by a component.
struct GroupDamage {
  Measured kl;         ///< nats per token
  Measured delta_nll;  ///< nats per token
};

/// Damage of quantizing one component: W' = W + M (Q(W) - W), with the grid of the whole tensor.
struct ComponentDamage {
  Component component;
  int64_t parameters = 0;  ///< weights inside the component
  Measured kl;             ///< nats per token, >= 0
  Measured delta_nll;      ///< nats per token
  Measured same_top;       ///< share of tokens
  /// By a screen: only kl is known, and it was not measured.
  bool foretold = false;
  /// By group, over that group's windows alone; empty where the data has fewer than two groups.
  std::map<std::string, GroupDamage> groups{};
};

/// Facts about a matrix that need no forward pass, to see which of them foretell damage.
struct WeightFacts {
  TensorId tensor;
  double absmax_over_sigma = 0;
  double excess_kurtosis = 0;
  double sqnr_db = 0;           ///< signal to quantization noise under the scheme
  double weighted_sqnr_db = 0;  ///< the same with columns weighted by their input's mean square
  int64_t rows = 0, cols = 0;
  std::string scheme;  ///< what the facts and the isolated damage belong to: the wanted one or a fallback
  /// Scheme to error power, sum over entries of E[x_j^2] (Q(w) - w)^2: `scheme` and, with candidates, each that the
  /// shape can take and the one that the matrix is stored in, which is kept: 0.
  std::map<std::string, double> error_power;
};

/// Spread of the sensitivities within one kind of component ("differential bias" of the components).
struct DifferentialBias {
  ComponentKind kind = ComponentKind::kHead;
  int64_t count = 0;
  double min = 0, max = 0, range = 0, mean = 0, standard_deviation = 0, coefficient_of_variation = 0;
};

/// Of a fact with the damage of matrices of layers, among those quantized alike: the mean over schemes by their matrices.
struct RankCorrelation {
  std::string fact;
  double spearman = 0;
  int64_t count = 0;
};

struct DiagnosedGroup {
  std::string name;
  int64_t windows = 0;
  int64_t tokens = 0;  ///< scored
};

/// How a component shares its damage out among groups, against how all components together do.
struct GroupProfile {
  Component component;
  /// Share of the spread over windows, 0 to 1, that their groups account for, once what every component does to a window
  /// is divided out.
  double explained_share = 0;
  std::string group{};  ///< the one that makes the most of it
  double factor = 1;    ///< this group's damage over what all components together would make one expect of it
  double p = 1;         ///< that the largest share over all components is as large when windows change groups
  std::map<std::string, double> factors{};  ///< the same of every group
};

/// Whether some components hurt some groups more than others do: component x group, beyond both of them apart.
struct GroupProfiles {
  int64_t permutations = 0;
  double p = 1;  ///< that the mean share over the components is as large when windows change groups
  std::vector<GroupProfile> components;  ///< the largest share first; those without damage are left out
};

struct Diagnosis {
  int schema_version = 1;
  std::string model_hash, data_name, data_hash;
  std::string calibration_hash;  ///< calibration_hash(): of what was measured, not of the text
  std::string scheme;
  int64_t windows = 0;
  int64_t tokens = 0;          ///< scored; of a model that sees, images
  std::string unit = "token";  ///< what nats are per: "token" or "image"
  /// What stood in for the scheme where a shape cannot take it or a file stores it already, a line for all matrices
  /// alike.
  std::vector<std::string> fallbacks;
  double control_kl = 0;  ///< largest KL over the layers of a perturbation by nothing; must be exactly 0
  /// KL between the sweep's base and the plain forward in differently ordered arithmetic; NaN where no sweep was run
  double noise_floor_kl = 0;
  std::vector<ComponentDamage> components;
  std::vector<DiagnosedGroup> groups;  ///< of the windows, by first appearance; empty for fewer than two
  std::optional<GroupProfiles> group_profiles;
  std::vector<DifferentialBias> differential_bias;
  std::vector<WeightFacts> weight_facts;
  std::vector<RankCorrelation> rank_correlation;  ///< with the KL of the matrix
  // Everything at once against the sum over matrices and embeddings; absent without DiagnoseOptions::joint.
  std::optional<Measured> joint_kl;
  double sum_isolated_kl = 0;
  double additivity_ratio = 0;

  /// nullptr when it was not measured.
  const ComponentDamage* find(const Component& component) const;
};

/// @cost per component the layers after it, half of them on average, and all scored logits with their comparison: the
///       larger the vocabulary against the layers, the nearer to a whole forward pass (bench/sweep_bench measures it);
///       memory: one activation stream per window
/// @throws Error{kInvalidArgument} when the calibration belongs to another model
Diagnosis diagnose(const Model& model, const Calibration& calibration, const EvaluationData& data,
                   const DiagnoseOptions& options = {}, ProgressSink* progress = nullptr);

/// The same of a model that sees: an image is a window, and its class the one thing scored; components of the image tower,
/// of the text tower and of both are those of one model. Nats are per image.
/// @throws Error{kInvalidArgument} as above, and where the data are not what the model answers to (its classes, prompts of
///         a model that reads); Error{kUnsupported} for language models
Diagnosis diagnose(const Model& model, const Calibration& calibration, const AnswerData& data,
                   const DiagnoseOptions& options = {}, ProgressSink* progress = nullptr);

nlohmann::ordered_json diagnosis_to_json(const Diagnosis& diagnosis);
/// @throws Error{kBadFile} naming `origin` and the key
Diagnosis diagnosis_from_json(const nlohmann::ordered_json& json, const std::string& origin);

}  // namespace vernier
