#include "vernier/measure_reliability.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "base/fail.h"
#include "base/hash.h"
#include "data/image_set.h"
#include "data/image_subset.h"
#include "evaluate/same_classes.h"
#include "reliability/detection_dimension.h"
#include "reliability/image_dimensions.h"
#include "reliability/reliability_request.h"
#include "reliability/subject_identity.h"

namespace vernier {

namespace {

struct ImageDimensionRow {
  std::string_view key;
  ReliabilityDimension (*measure)(const ImageReliability& of);
  bool needs_outside = false;
};

const ImageDimensionRow kDimensions[] = {
    {"confidence", measure_confidence}, {"out_of_distribution", measure_detection, true},
    {"features", measure_features},     {"corruptions", measure_corruptions},
    {"attacks", measure_attacks},
};

bool wanted(const ImageDimensionRow& row, const ReliabilityRequest& request) {
  const auto& keys = request.dimensions;
  if (keys.empty()) return !row.needs_outside || !request.outside.empty();
  return std::find(keys.begin(), keys.end(), row.key) != keys.end();
}

/// Of all that the measured parts depend on, but for what identity_of_subject says.
std::string identity_of(const std::vector<ReliabilitySubject>& subjects, const LabelledImages& images,
                        const ReliabilityRequest& request) {
  Hasher hasher;
  for (const ReliabilitySubject& subject : subjects) hasher.add(identity_of_subject(subject));
  hasher.add(images.hash);
  for (const std::string& prompt : request.classify.prompts.templates) hasher.add(prompt);
  for (const auto& path : request.outside) hasher.add(hash_of_image(path));
  const ReliabilityOptions& o = request.options;
  for (const std::string& key : o.corruptions) hasher.add(key);
  for (const std::string& key : o.attacks) hasher.add(key);
  hasher.add(fmt::format("{} {} {} {} {} {} {} {} {} {}", o.feature_images, o.seed, o.severities, o.corruption_images,
                         o.control_seeds, fmt::join(o.attack_radii, ","), o.attack_images, o.attack_steps,
                         o.attack_restarts, o.square_queries));
  hasher.add(identity_of_compute(request.classify.compute));
  return hasher.hex();
}

}  // namespace

std::vector<std::string_view> reliability_dimensions() {
  std::vector<std::string_view> keys;
  for (const ImageDimensionRow& row : kDimensions) keys.push_back(row.key);
  return keys;
}

std::vector<std::filesystem::path> ImageReliability::paths() const {
  std::vector<std::filesystem::path> paths;
  for (const LabelledImage& image : images.images) paths.push_back(image.path);
  return paths;
}

std::vector<int32_t> ImageReliability::labels() const {
  std::vector<int32_t> labels;
  for (const LabelledImage& image : images.images) labels.push_back(image.label);
  return labels;
}

std::vector<size_t> ImageReliability::spread(int64_t wanted) const { return spread_indices(images, wanted); }

std::vector<int32_t> ImageReliability::clusters(const std::vector<size_t>& which) const {
  std::map<std::string, int32_t> numbers;
  std::vector<int32_t> clusters;
  for (const size_t i : which)
    clusters.push_back(numbers.emplace(hash_of_image(images.images[i].path), numbers.size()).first->second);
  return clusters;
}

std::vector<std::vector<float>> ImageReliability::clean_logits() const {
  return parts
      .get("logits",
           [&] {
             if (progress != nullptr)
               progress->begin("confidence", static_cast<int64_t>(images.images.size()), "images");
             SharedProgress shared(progress);
             const auto logits = models.logits(paths(), {}, [&] { shared.add(1); });
             if (progress != nullptr) progress->end();
             return Json(logits);
           })
      .get<std::vector<std::vector<float>>>();
}

ReliabilityDimension measure_confidence(const ImageReliability& of) {
  const std::vector<std::vector<float>> logits = of.clean_logits();
  const std::vector<int32_t> labels = of.labels();
  const auto classes = static_cast<int64_t>(of.models.classes());
  std::vector<ConfidenceSubject> subjects;
  for (size_t m = 0; m < of.models.count(); ++m) {
    Refit refit = refit_temperature(logits[m], classes, labels);
    subjects.push_back({of.models.names()[m], predictions_of_logits(logits[m], classes, labels),
                        std::move(refit.predictions), fit_temperature(logits[m], classes, labels)});
  }
  return confidence_dimension(subjects, grouped_examples(of.images).attributes, of.clusters(of.spread(0)),
                              of.request.options);
}

ReliabilityDimension measure_detection(const ImageReliability& of) {
  const std::vector<std::vector<float>> inside = of.clean_logits();
  const auto outside =
      of.parts
          .get("outside",
               [&] {
                 if (of.progress != nullptr)
                   of.progress->begin("out of distribution", static_cast<int64_t>(of.request.outside.size()), "images");
                 SharedProgress shared(of.progress);
                 const auto logits = of.models.logits(of.request.outside, {}, [&] { shared.add(1); });
                 if (of.progress != nullptr) of.progress->end();
                 return Json(logits);
               })
          .get<std::vector<std::vector<float>>>();
  std::vector<DetectionSubject> subjects;
  for (size_t m = 0; m < of.models.count(); ++m)
    subjects.push_back({of.models.names()[m], static_cast<int64_t>(of.models.classes()), inside[m], outside[m]});
  return detection_dimension(subjects, of.request.options);
}

Reliability measure_reliability(const std::vector<ReliabilitySubject>& subjects, const LabelledImages& images,
                                const ReliabilityRequest& request, ProgressSink* progress) {
  check_image_request(request);
  for (const ReliabilitySubject& subject : subjects)
    require_same_classes("reliability", *subject.model, *subjects.front().model);
  const ImageSubjects models(subjects, images.classes, request.classify);
  const PartStore parts(request.parts, request.parts.empty() ? "" : identity_of(subjects, images, request));
  const ImageReliability of{subjects, models, images, request, parts, progress};
  Reliability result{images.name,    images.hash,     static_cast<int64_t>(images.images.size()),
                     models.names(), request.options, {}};
  name_first(subjects, result);
  for (const ImageDimensionRow& row : kDimensions)
    if (wanted(row, request)) result.dimensions.push_back(row.measure(of));
  add_headlines(result);
  parts.remove();
  return result;
}

}  // namespace vernier
