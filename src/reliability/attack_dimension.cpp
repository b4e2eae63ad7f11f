// Accuracy under each attack and all of them, at rising radii: what is fooled within a ball is fooled within any greater one,
// so that only the others are attacked again.

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "ops/parallel.h"
#include "reliability/correctness.h"
#include "reliability/image_dimensions.h"
#include "reliability/paired_bootstrap.h"
#include "vernier/attacks.h"
#include "vernier/decode_images.h"

namespace vernier {

namespace {

constexpr size_t kAttackBatch = 16;  // fixed: results must not depend on the number of threads

struct AttackRow {
  const char *key, *name;
  bool linf = true;  ///< counts for the worst case within the ball
};
const AttackRow kAttacks[] = {
    {"fgsm", "FGSM"},
    {"pgd", "PGD"},
    {"transfer", "PGD made for the first model"},
    {"square", "square attack"},
    {"pgd_l2", "PGD within l2", false},
};

/// Per attack and radius, which images are still answered rightly.
using Standing = std::map<std::string, std::vector<std::string>>;

class AttackSuite {
 public:
  explicit AttackSuite(const ImageReliability& of)
      : of_(of), options_(of.request.options), indices_(of.spread(options_.attack_images)) {}

  ReliabilityDimension run() {
    int64_t remaining = 0;
    for (size_t m = 0; m < of_.models.count(); ++m)
      if (!of_.parts.has(key_of(m))) remaining += static_cast<int64_t>(indices_.size());
    if (of_.progress != nullptr && remaining > 0) of_.progress->begin("attacks", remaining, "images");
    SharedProgress shared(of_.progress);
    for (size_t m = 0; m < of_.models.count(); ++m) {
      const Json part = of_.parts.get(key_of(m), [&] { return Json(attack(m, shared)); });
      standing_.push_back(part.get<Standing>());
    }
    if (of_.progress != nullptr && remaining > 0) of_.progress->end();
    return dimension();
  }

 private:
  std::string key_of(size_t m) const { return "attacks " + of_.models.names()[m]; }

  ImageLogits logits_of(size_t m) const {
    const ImageClassifier& classifier = of_.models.classifier(m);
    return differentiable_logits(classifier.seeing(), classifier.class_vectors(), of_.models.preprocessor());
  }

  at::Tensor images_of(size_t first, size_t count) const {
    std::vector<at::Tensor> images;
    for (size_t i = first; i < first + count; ++i) {
      const Image image = of_.models.shaped(of_.images.images[indices_[i]].path);
      images.push_back(at::tensor(std::vector<float>(image.rgb.begin(), image.rgb.end()))
                           .view({image.height, image.width, 3})
                           .permute({2, 0, 1})
                           .contiguous() /
                       255);
    }
    return at::stack(images);
  }

  Standing attack(size_t m, SharedProgress& shared) const {
    const ImageLogits own = logits_of(m), first = logits_of(0);
    Standing standing;
    for (const AttackRow& row : kAttacks)
      standing[row.key].assign(options_.attack_radii.size(), std::string(indices_.size(), '0'));
    const size_t batches = (indices_.size() + kAttackBatch - 1) / kAttackBatch;
    parallel_for(static_cast<int64_t>(batches), of_.models.workers(), [&](int64_t batch, int) {
      const size_t begin = static_cast<size_t>(batch) * kAttackBatch;
      const size_t count = std::min(kAttackBatch, indices_.size() - begin);
      attack_batch(own, first, begin, count, standing);
      shared.add(static_cast<int64_t>(count));
    });
    return standing;
  }

  /// Writes its own images' letters only, so that batches may run at once.
  void attack_batch(const ImageLogits& own, const ImageLogits& first, size_t begin, size_t count,
                    Standing& standing) const {
    const at::Tensor images = images_of(begin, count);
    std::vector<int64_t> right;
    for (size_t i = begin; i < begin + count; ++i) right.push_back(of_.images.images[indices_[i]].label);
    const at::Tensor labels = at::tensor(right, at::kLong);
    at::Tensor answers;
    {
      const c10::NoGradGuard no_gradients;
      answers = own(images);
    }
    const std::vector<bool> wrong = wrong_answers(answers, labels);
    for (const AttackRow& row : kAttacks) {
      std::vector<bool> fooled = wrong;
      for (size_t r = 0; r < options_.attack_radii.size(); ++r) {
        std::vector<int64_t> left;
        for (size_t i = 0; i < count; ++i)
          if (!fooled[i]) left.push_back(static_cast<int64_t>(i));
        if (!left.empty()) {
          const at::Tensor which = at::tensor(left, at::kLong);
          AttackSettings settings = settings_of(row, options_.attack_radii[r], images[0].numel());
          for (const int64_t i : left)
            settings.images.push_back(static_cast<int64_t>(indices_[begin + static_cast<size_t>(i)]));
          const std::vector<bool> now =
              fooled_by(row, own, first, images.index_select(0, which), labels.index_select(0, which), settings);
          for (size_t k = 0; k < left.size(); ++k)
            if (now[k]) fooled[static_cast<size_t>(left[k])] = true;
        }
        for (size_t i = 0; i < count; ++i) standing.at(row.key)[r][begin + i] = fooled[i] ? '0' : '1';
      }
    }
  }

  AttackSettings settings_of(const AttackRow& row, double radius, int64_t values) const {
    AttackSettings settings{.radius = radius,
                            .steps = options_.attack_steps,
                            .restarts = options_.attack_restarts,
                            .queries = options_.square_queries,
                            .seed = options_.seed};
    if (row.linf) return settings;
    settings.norm = AttackNorm::kL2;
    settings.radius = radius * std::sqrt(static_cast<double>(values) / 12);  // 0.5 beside 8/255 at 32 x 32, as is usual
    return settings;
  }

  static std::vector<bool> fooled_by(const AttackRow& row, const ImageLogits& own, const ImageLogits& first,
                                     const at::Tensor& images, const at::Tensor& labels,
                                     const AttackSettings& settings) {
    const std::string key = row.key;
    if (key == "fgsm") return fgsm(own, images, labels, settings.radius).fooled;
    if (key == "square") return square_attack(own, images, labels, settings).fooled;
    if (key != "transfer") return pgd(own, images, labels, settings).fooled;
    const at::Tensor made = pgd(first, images, labels, settings).images;
    const c10::NoGradGuard no_gradients;
    return wrong_answers(own(made), labels);
  }

  ReliabilityDimension dimension() const {
    ReliabilityDimension dimension{"attacks", "Attacks"};
    dimension.notes = {
        fmt::format(
            "{} images; PGD of {} steps from {} random starts, the square attack of {} queries; radii are those of "
            "the largest change of a value in 0 to 1, of l2 sqrt(values / 12) times as large",
            indices_.size(), options_.attack_steps, options_.attack_restarts, options_.square_queries),
        "the worst case is each image's worst over FGSM, PGD, transfer and square attack"};
    const PairedBootstrap bootstrap({indices_.size()}, options_);
    for (size_t r = 0; r < options_.attack_radii.size(); ++r) {
      std::vector<std::vector<double>> worst(standing_.size(), std::vector<double>(indices_.size(), 1.0));
      for (const AttackRow& row : kAttacks) {
        std::vector<std::vector<double>> values;
        for (size_t m = 0; m < standing_.size(); ++m) {
          values.push_back(as_numbers(standing_[m].at(row.key)[r]));
          if (row.linf)
            for (size_t i = 0; i < indices_.size(); ++i) worst[m][i] = std::min(worst[m][i], values[m][i]);
        }
        dimension.rows.push_back(row_of(bootstrap, row.key, row.name, values, options_.attack_radii[r]));
      }
      dimension.rows.push_back(row_of(bootstrap, "worst", "worst of all attacks", worst, options_.attack_radii[r]));
      if (r == 0) {
        ReliabilityRow headline = dimension.rows.back();
        headline.name =
            fmt::format("accuracy under the worst attack within {:.2f}/255", 255 * options_.attack_radii[r]);
        dimension.summary = verdicts_of(headline, of_.models.names(), "robustness to attacks");
      }
    }
    return dimension;
  }

  static ReliabilityRow row_of(const PairedBootstrap& bootstrap, const char* condition, const char* name,
                               const std::vector<std::vector<double>>& values, double radius) {
    ReliabilityRow row{"accuracy", name, "share", Worse::kLower, condition, radius};
    row.models = bootstrap.compare_means(values);
    return row;
  }

  const ImageReliability& of_;
  const ReliabilityOptions& options_;
  std::vector<size_t> indices_;
  std::vector<Standing> standing_;  // [model]
};

}  // namespace

ReliabilityDimension measure_attacks(const ImageReliability& of) {
  if (of.request.options.attack_radii.empty()) return {"attacks", "Attacks", {"no radius was asked for"}};
  return AttackSuite(of).run();
}

}  // namespace vernier
