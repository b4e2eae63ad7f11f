#include "reliability/image_subjects.h"

#include <algorithm>

#include "base/fail.h"
#include "engine/device.h"
#include "evaluate/model_preprocessor.h"
#include "ops/parallel.h"
#include "vernier/decode_images.h"

namespace vernier {

ImageSubjects::ImageSubjects(const std::vector<ReliabilitySubject>& subjects, const std::vector<std::string>& classes,
                             const ClassifyOptions& options)
    : classes_(classes.size()), device_(device_named(options.compute.device)), engine_(make_engine(options.compute)) {
  if (subjects.empty()) fail(ErrorKind::kInvalidArgument, "reliability: no model given");
  for (const ReliabilitySubject& subject : subjects) {
    names_.push_back(subject.name);
    ClassifyOptions own = options;
    own.activations = subject.activations, own.ranges = subject.ranges, own.rounded = subject.rounded;
    classifiers_.push_back(std::make_unique<ImageClassifier>(*subject.model, classes, own, *engine_));
  }
  preprocessor_ = preprocessor_of(*subjects.front().model);
  decoders_ = std::max(1, resolve_threads(options.compute) / workers());
}

Image ImageSubjects::shaped(const std::filesystem::path& path) const {
  return shaped_image(read_image(path), preprocessor_);
}

std::vector<float> ImageSubjects::pixels(const std::filesystem::path& path) const {
  return normalized_pixels(shaped(path), preprocessor_);
}

std::vector<std::vector<float>> ImageSubjects::logits(const std::vector<std::filesystem::path>& paths,
                                                      const Change& change, const Done& done) const {
  std::vector<std::vector<float>> result(count(), std::vector<float>(paths.size() * classes_));
  // Batches are of the same images whatever the number of threads; of few images small ones, so that many may be at work.
  constexpr size_t kBatches = 32, kSmallest = 8;
  const size_t at_once = engine_->inputs_at_once(classifiers_.front()->seeing().config().patches.rows());
  const size_t batch = std::min(at_once, std::max(kSmallest, paths.size() / kBatches));
  const auto batches = static_cast<int64_t>((paths.size() + batch - 1) / batch);
  parallel_for(batches, workers(), [&](int64_t b, int worker) {
    const size_t first = static_cast<size_t>(b) * batch, end = std::min(first + batch, paths.size());
    std::vector<std::vector<float>> pixels(end - first);
    parallel_for(static_cast<int64_t>(pixels.size()), decoders_, [&](int64_t k, int) {
      const size_t i = first + static_cast<size_t>(k);
      Image image = shaped(paths[i]);
      if (change) image = change(i, image);
      pixels[static_cast<size_t>(k)] = normalized_pixels(image, preprocessor_);
    });
    for (size_t m = 0; m < count(); ++m) {
      auto place = result[m].begin() + static_cast<int64_t>(first * classes_);
      for (const std::vector<float>& own : classifiers_[m]->logits(worker, pixels))
        place = std::copy(own.begin(), own.end(), place);
    }
    for (size_t i = first; done && i < end; ++i) done();
  });
  return result;
}

}  // namespace vernier
