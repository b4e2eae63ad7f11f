#pragma once

// Measures reliability.h of models that see and of language models.
//
//   const Model four_bits = quantize(model, {}, plan_uniform(model, "int4:channel:sym"), threads).in_memory();
//   const std::vector<ReliabilitySubject> subjects{{"original", &model}, {"int4", &four_bits}};
//   const Reliability found = measure_reliability(subjects, read_manifest("cifar10/test.csv", class_names), {});
//   const Reliability of_text = measure_text_reliability(subjects, data, {}, {});

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vernier/choices.h"
#include "vernier/classify.h"
#include "vernier/data.h"
#include "vernier/reliability.h"

namespace vernier {

struct ReliabilitySubject {
  std::string name;
  const Model* model = nullptr;
  /// How the inputs of its matrices are rounded, in all that is measured of it; gradients of attacks go straight through.
  Activations activations = Activations::kExact;
  ActivationRanges ranges = {};       ///< of static rounding
  std::optional<Stack> rounded = {};  ///< of a model of images and texts: the only tower whose inputs are
};

struct ReliabilityRequest {
  ReliabilityOptions options = {};
  ClassifyOptions classify = {};
  std::vector<std::string> dimensions = {};         ///< keys; empty: all that the data allow
  std::vector<std::filesystem::path> outside = {};  ///< images of what the models were never taught
  std::filesystem::path parts = {};  ///< folder in which finished parts wait for whoever is killed; empty: nowhere
};

/// "confidence", "out_of_distribution", "features", "corruptions", "attacks", of images.
std::vector<std::string_view> reliability_dimensions();

/// The first subject is what the others are compared with; all see images as its preprocessor_config.json says.
/// Corruptions are applied, and attacks made, to images as they are resized and cropped.
/// @throws Error as classify_images; {kInvalidArgument} for no subjects, an unknown dimension or corruption, a seed,
///         radius or count that cannot be, "out_of_distribution" without images outside
/// @cost per image and model: a pass for confidence, corruptions * severities passes, and of each attacked image up to
///       radii * (4 * restarts * (steps + 1) gradients + square_queries passes)
Reliability measure_reliability(const std::vector<ReliabilitySubject>& subjects, const LabelledImages& images,
                                const ReliabilityRequest& request, ProgressSink* progress = nullptr);

/// Text whose every window is perturbed alike: returns the windows of the text changed by `perturbation` at `severity`.
using PerturbedWindows = std::function<EvaluationData(std::string_view perturbation, int severity)>;

/// Of language models: confidence in the next token, of each scored token, whose logits are not kept; drawn again by
/// window. After a refit each half of the documents (even and odd ones) by the other half's temperature, where both have
/// windows. With `perturbed`, also the loss and accuracy on text that is written carelessly.
/// @throws Error as evaluate; {kInvalidArgument} for no subjects, and for what only models that see are asked
/// @cost two forward passes, and one per perturbation and severity
Reliability measure_text_reliability(const std::vector<ReliabilitySubject>& subjects, const EvaluationData& data,
                                     const ReliabilityRequest& request, const PerturbedWindows& perturbed,
                                     ProgressSink* progress = nullptr);

/// Of language models on questions: confidence in the likeliest answer, its logits being the answers' log-likelihoods.
/// @param texts choice_texts of the items @throws Error as evaluate; {kInvalidArgument} for no subjects, fewer than 2
/// questions @cost a forward pass of every answer
Reliability measure_choice_reliability(const std::vector<ReliabilitySubject>& subjects,
                                       const std::vector<ChoiceItem>& items, const ScoredTexts& texts,
                                       const ReliabilityRequest& request, ProgressSink* progress = nullptr);

}  // namespace vernier
