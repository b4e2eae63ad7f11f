#pragma once

// Several models on the same images: decoded, resized and changed once, answered by all.

#include <c10/core/Device.h>

#include <functional>
#include <memory>
#include <vector>

#include "evaluate/image_classifier.h"
#include "vernier/measure_reliability.h"

namespace vernier {

class ImageSubjects {
 public:
  ImageSubjects(const std::vector<ReliabilitySubject>& subjects, const std::vector<std::string>& classes,
                const ClassifyOptions& options);

  size_t count() const { return classifiers_.size(); }
  const std::vector<std::string>& names() const { return names_; }
  const ImageClassifier& classifier(size_t model) const { return *classifiers_[model]; }
  const ImagePreprocessor& preprocessor() const { return preprocessor_; }
  int workers() const { return engine_->workers(); }
  /// Where they are run: what is made to be differentiated goes there too.
  at::Device device() const { return device_; }
  size_t classes() const { return classes_; }

  /// An image of a file as the models see it, in 8 bits.
  Image shaped(const std::filesystem::path& path) const;
  /// The same, normalized: [channels, side, side].
  std::vector<float> pixels(const std::filesystem::path& path) const;
  /// Called for every image with its index; `change` may be empty. Any thread, several at once.
  using Change = std::function<Image(size_t index, const Image& image)>;
  using Done = std::function<void()>;
  /// [model][images * classes]
  std::vector<std::vector<float>> logits(const std::vector<std::filesystem::path>& paths, const Change& change,
                                         const Done& done) const;

 private:
  std::vector<std::string> names_;
  size_t classes_;
  ImagePreprocessor preprocessor_;
  at::Device device_;
  int decoders_ = 1;  // threads that read images for each worker
  std::unique_ptr<Engine> engine_;
  std::vector<std::unique_ptr<ImageClassifier>> classifiers_;
};

}  // namespace vernier
