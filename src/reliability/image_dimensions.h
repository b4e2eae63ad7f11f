#pragma once

// The dimensions of models that see: each measures its parts and makes figures of them.

#include <string>
#include <string_view>
#include <vector>

#include "base/shared_progress.h"
#include "reliability/confidence_dimension.h"
#include "reliability/image_subjects.h"
#include "reliability/part_store.h"

namespace vernier {

/// What every dimension is measured on.
struct ImageReliability {
  const std::vector<ReliabilitySubject>& subjects;
  const ImageSubjects& models;
  const LabelledImages& images;
  const ReliabilityRequest& request;
  const PartStore& parts;
  ProgressSink* progress;

  std::vector<std::filesystem::path> paths() const;
  std::vector<int32_t> labels() const;
  /// Indices of `wanted` images, evenly spaced; all of them for 0 or more than there are.
  std::vector<size_t> spread(int64_t wanted) const;
  /// Which of those images are one by content, from 0: copies are no evidence of their own. @cost reads their files
  std::vector<int32_t> clusters(const std::vector<size_t>& which) const;
  /// Of every model, [model][images * classes].
  std::vector<std::vector<float>> clean_logits() const;
};

ReliabilityDimension measure_confidence(const ImageReliability& of);
ReliabilityDimension measure_detection(const ImageReliability& of);
ReliabilityDimension measure_features(const ImageReliability& of);
ReliabilityDimension measure_corruptions(const ImageReliability& of);
ReliabilityDimension measure_attacks(const ImageReliability& of);
/// Of its attacks: "fgsm", "pgd" ...
std::vector<std::string_view> attack_keys();

}  // namespace vernier
