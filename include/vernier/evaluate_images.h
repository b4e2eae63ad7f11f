#pragma once

// How good a model that sees is on labelled images, and how far from a reference: what image_metrics() lists, whole and by
// every class and every group of the manifest, each with a standard error over images (copies of one are one).
//
//   const LabelledImages images = read_manifest("cifar10/test.csv", class_names_of(model));
//   const Evaluation e = evaluate_images({&quantized}, &model, images)[0];
//   e.all.at("accuracy_share").mean;  e.all.kl().mean;  e.groups.at("class cat").kl().standard_error;

#include <vector>

#include "vernier/classify.h"
#include "vernier/evaluate.h"
#include "vernier/labelled_images.h"
#include "vernier/model.h"
#include "vernier/progress.h"

namespace vernier {

/// One Evaluation per model, against `reference` (nullptr: none), whose own, of exact activations, is the last one.
/// @throws Error{kInvalidArgument} for a model and a reference that have a class at different places; as classify_images
/// @cost a forward pass of each model over every image; 4 bytes per image and class are kept
std::vector<Evaluation> evaluate_images(const std::vector<const Model*>& models, const Model* reference,
                                        const LabelledImages& images, const ClassifyOptions& options = {},
                                        ProgressSink* progress = nullptr);

}  // namespace vernier
