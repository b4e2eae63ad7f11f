#pragma once

// Several models beside the one in full precision, in what accuracy does not tell: whether they are as sure as they are
// right, and whether they hold against noise, attack and what they do not know. The artefact is reliability.json; its
// figures are measured by measure_reliability.h.
//
//   for (const ReliabilityDimension& dimension : reliability.dimensions)
//     for (const ReliabilityVerdict& summary : dimension.summary) print(summary.text);

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vernier/confidence_calibration.h"
#include "vernier/interval.h"
#include "vernier/worse.h"

namespace vernier {

struct ReliabilityOptions {
  double confidence = 0.95;
  int bootstrap_draws = 1000;  ///< of examples (windows of text), the same ones for all models
  uint64_t seed = 1;           ///< of resampling, corruptions and attacks
  int bins = 15;
  std::vector<std::string> corruptions = {};  ///< keys; empty: all
  int severities = 5;                         ///< 1 to this
  int64_t corruption_images = 0;              ///< so many, evenly over their classes; 0: all
  int64_t feature_images = 1000;              ///< whose features are looked at, evenly over their classes; 0: all
  int control_seeds = 2;                      ///< of noise of the quantizer's power; 0: no control
  std::vector<double> attack_radii = {1. / 255, 2. / 255, 4. / 255, 8. / 255};  ///< of the largest change of a value
  std::vector<std::string> attacks = {};  ///< "fgsm", "pgd", "transfer", "square", "pgd_l2"; empty: all
  int64_t attack_images = 200;            ///< evenly over their classes; 0: all
  int attack_steps = 10;
  int attack_restarts = 2;
  int square_queries = 200;
};

/// Of one model, beside that of the first one.
struct ComparedValue {
  double value = 0;
  ConfidenceInterval interval = {};
  double change = 0;  ///< less the first model's
  ConfidenceInterval change_interval = {};
};

/// A figure under one condition: of every model, in their order.
struct ReliabilityRow {
  std::string key;   ///< with its unit where it has one: "ece", "loss_nats"
  std::string name;  ///< for people
  std::string unit;  ///< "share", "nats", ""
  Worse worse = Worse::kHigher;
  std::string condition = {};                               ///< which corruption, attack or score; "" for none
  double level = std::numeric_limits<double>::quiet_NaN();  ///< severity or radius; NaN for none
  std::string group = {};                                   ///< "class cat"; "" for all examples
  std::vector<ComparedValue> models = {};
  bool detail = false;  ///< one of many that a row of means speaks for
};

enum class Comparison { kBetter, kWorse, kUndecided };
std::string_view name_of(Comparison comparison);
/// By the interval of the change: undecided where it holds 0, and where the figure gets worse in neither direction.
Comparison compare(const ComparedValue& value, Worse worse);

struct ReliabilityVerdict {
  std::string model;
  Comparison comparison = Comparison::kUndecided;
  std::string text;  ///< a sentence
};

/// "Quantization improves calibration only where the model was under-confident" (after arXiv 2509.21173), asked of every
/// model and group.
struct ConfidenceClaim {
  enum class Verdict { kConfirmed, kRefuted, kUndecided };
  struct Case {
    std::string model, group;      ///< "" for all examples
    ComparedValue before = {};     ///< the first model's confidence less its accuracy: below 0 it is under-confident
    ComparedValue after = {};      ///< the model's calibration error, its change beside the first one's
    bool under_confident = false;  ///< by the interval, as the next one; neither where it holds 0
    bool over_confident = false;
    Comparison calibration = Comparison::kUndecided;
  };
  Verdict verdict = Verdict::kUndecided;
  std::string reason;  ///< a sentence
  std::vector<Case> cases;
};
std::string_view name_of(ConfidenceClaim::Verdict verdict);

/// A case bears it out where calibration got better and the first model was under-confident, and contradicts it where it
/// got better although that was over-confident. Refuted: one contradicts it by more than luck; confirmed: one bears it out by
/// more than luck, contradictions are luck, and somewhere the first model was over-confident. Luck is 5% over all cases
/// (Bonferroni), which share examples; of each by the normal distribution that its
/// interval speaks of. @param confidence of the intervals
ConfidenceClaim judge_confidence_claim(std::vector<ConfidenceClaim::Case> cases, double confidence = 0.95);

struct ReliabilityDiagram {
  std::string model;
  std::vector<ConfidenceBin> bins;
};

struct ReliabilityDimension {
  std::string key, name;
  std::vector<std::string> notes = {};  ///< how it was measured
  std::vector<ReliabilityRow> rows = {};
  std::vector<ReliabilityDiagram> diagrams = {};
  std::vector<ReliabilityVerdict> summary = {};  ///< of every model but the first
  std::string headline = {};                     ///< a sentence of all of them; "" for a single model
  std::optional<ConfidenceClaim> claim = {};     ///< of confidence beside other models
};

struct Reliability {
  std::string data_name, data_hash;
  int64_t examples = 0;
  std::vector<std::string> models;  ///< the first one is what the others are compared with
  ReliabilityOptions options;
  std::vector<ReliabilityDimension> dimensions;
  std::string model_name{}, model_hash{};  ///< of the first one
};

/// The sentence of every model but the first by one row, `what` being what it is better or worse at.
std::vector<ReliabilityVerdict> verdicts_of(const ReliabilityRow& row, const std::vector<std::string>& models,
                                            std::string_view what);

/// What every measurement ends with: "Attacks: better in 1, worse in 0 and undecided in 3 of 4 models." for every
/// dimension, and intervals of accuracy ended at 0 and 1.
void add_headlines(Reliability& reliability);

nlohmann::ordered_json reliability_to_json(const Reliability& reliability);

}  // namespace vernier
