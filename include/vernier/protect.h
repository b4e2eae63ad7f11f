#pragma once

// Protecting the sensitive few: how much of a quantized model's damage is undone by keeping some of it in 16 bits, against
// the bytes that this adds, positions included. In: a model, a screen with channels, a text. Out: a curve for every kind
// of piece and every way to choose, random ones among them: protection.json.
//
//   const Protection p = protect(model, calibration, screened, data, {.scheme = "int3:g64:asym"});
//   for (const ProtectionCurve& c : p.curves) print(c.unit, c.chosen_by, c.points.back().recovery, c.knee_share);

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "vernier/calibrate.h"
#include "vernier/evaluate.h"
#include "vernier/model.h"
#include "vernier/progress.h"
#include "vernier/screen.h"

namespace vernier {

/// What is protected as one, and by what it is chosen.
struct ProtectionRule {
  std::string unit, chosen_by;
  std::string about{};   ///< by what score, one clause
  std::string source{};  ///< "" where nobody in particular has it
};
/// All of them: whole matrices, columns (OWQ), single weights (SpQR), channels of a site in all that read it (LLM.int8());
/// by |w|, by activations, by the error that activations see, by Fisher information, exactly, at random.
const std::vector<ProtectionRule>& protection_rules();

struct ProtectOptions {
  std::string scheme = "int4:g64:asym";                              ///< of every matrix, or its fallback
  std::vector<std::string> units{};                                  ///< of protection_rules(); none: all
  std::vector<double> shares = {0.005, 0.01, 0.02, 0.05, 0.1, 0.2};  ///< added bytes over those of all matrices
  int64_t random_draws = 3;                                          ///< a curve each; their mean is one too
  std::map<TensorId, double> exact{};  ///< KL of whole matrices alone in the scheme, for those chosen exactly
  uint64_t seed = 0;
  ComputeOptions compute{};
};

struct ProtectionPoint {
  double share = 0;          ///< allowed
  uint64_t added_bytes = 0;  ///< used
  int64_t pieces = 0;
  Measured kl{};        ///< nats per token
  double recovery = 0;  ///< 1 - kl / kl without protection
};

struct ProtectionCurve {
  std::string unit, chosen_by;
  std::vector<ProtectionPoint> points;
  /// Added bytes, as a share, where the curve bends most: farthest above the chord from none to the last point.
  /// @source Satopaa et al. 2011, Finding a "Kneedle" in a Haystack
  double knee_share = 0, knee_recovery = 0;
};

struct Protection {
  int schema_version = 1;
  std::string model_hash, scheme, data_name;
  int64_t tokens = 0;
  uint64_t base_bytes = 0;  ///< of all matrices in the scheme
  Measured base_kl;
  std::vector<ProtectionCurve> curves;
};

/// Protected weights are as if absent when the rest is fitted and rounded, and then put in their places as they were: a
/// column costs 2 bytes a weight and 4 for its number, a single weight 2 and 2 for its column, a row 4 more where any of
/// its weights is one; a whole matrix what its 16-bit form is larger by.
/// @param screened of `options.scheme` with channels, on a text of one domain
/// @cost a quantization and a forward pass for every point; the model twice in float32
/// @throws Error{kInvalidArgument} for a screen of another model, scheme or without channels, unknown units, shares that
///         are not above 0
Protection protect(const Model& model, const Calibration& calibration, const Screen& screened,
                   const EvaluationData& text, const ProtectOptions& options = {}, ProgressSink* progress = nullptr);

/// The knee of points (share, recovery) after (0, 0). @return its index, 0 for none
size_t knee_of(const std::vector<ProtectionPoint>& points);

nlohmann::ordered_json protection_to_json(const Protection& protection);

}  // namespace vernier
