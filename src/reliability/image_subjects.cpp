#include "reliability/image_subjects.h"

#include <algorithm>

#include "base/fail.h"
#include "ops/parallel.h"
#include "vernier/decode_images.h"

namespace vernier {

ImageSubjects::ImageSubjects(const std::vector<ReliabilitySubject>& subjects, const std::vector<std::string>& classes,
                             const ClassifyOptions& options)
    : classes_(classes.size()), engine_(make_engine(options.compute)) {
  if (subjects.empty()) fail(ErrorKind::kInvalidArgument, "reliability: no model given");
  for (const ReliabilitySubject& subject : subjects) {
    names_.push_back(subject.name);
    classifiers_.push_back(std::make_unique<ImageClassifier>(*subject.model, classes, options, *engine_));
  }
  preprocessor_ = load_image_preprocessor(subjects.front().model->source().path);
}

Image ImageSubjects::shaped(const std::filesystem::path& path) const {
  return shaped_image(read_image(path), preprocessor_);
}

std::vector<std::vector<float>> ImageSubjects::logits(const std::vector<std::filesystem::path>& paths,
                                                      const Change& change, const Done& done) const {
  std::vector<std::vector<float>> result(count(), std::vector<float>(paths.size() * classes_));
  parallel_for(static_cast<int64_t>(paths.size()), workers(), [&](int64_t item, int worker) {
    const auto i = static_cast<size_t>(item);
    Image image = shaped(paths[i]);
    if (change) image = change(i, image);
    const std::vector<float> pixels = normalized_pixels(image, preprocessor_);
    for (size_t m = 0; m < count(); ++m) {
      const std::vector<float> own = classifiers_[m]->logits(worker, pixels);
      std::copy(own.begin(), own.end(), result[m].begin() + static_cast<int64_t>(i * classes_));
    }
    if (done) done();
  });
  return result;
}

}  // namespace vernier
