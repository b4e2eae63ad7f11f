// Accuracy under each attack and all of them, at rising radii: what is fooled within a ball is fooled within any greater one,
// so that only the others are attacked again.

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <string_view>

#include "ops/parallel.h"
#include "reliability/correctness.h"
#include "reliability/image_dimensions.h"
#include "reliability/paired_bootstrap.h"
#include "vernier/attacks.h"
#include "vernier/decode_images.h"

namespace vernier {

namespace {

constexpr size_t kPart = 256;  // images whose outcome is kept together

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

/// Images that are attacked at once: results must not depend on the number of threads, so that it is the model that says
/// how many, and whether it is on a GPU, which has no others to run beside them. A pass that will go back keeps about 20
/// values per row, channel and layer.
size_t attack_batch_size(const ModelConfig& config, const at::Device& device) {
  const int64_t bytes = int64_t{device.is_cpu() ? 256 : 4096} << 20;
  const int64_t image = 20 * 4 * config.patches.rows() * config.hidden * config.depth();
  return static_cast<size_t>(std::clamp<int64_t>(bytes / image, 1, device.is_cpu() ? 32 : kPart));
}

/// What the first model was attacked with: per radius.
struct MadeForFirst {
  std::vector<at::Tensor> images;
  std::vector<std::vector<bool>> fooled;
};

class AttackSuite {
 public:
  explicit AttackSuite(const ImageReliability& of)
      : of_(of), options_(of.request.options), indices_(of.spread(options_.attack_images)) {
    for (const AttackRow& row : kAttacks)
      if (wanted(row)) rows_.push_back(&row);
  }

  ReliabilityDimension run() {
    int64_t remaining = 0;
    for (size_t first = 0; first < indices_.size(); first += kPart)
      if (!of_.parts.has(key_of(first))) remaining += static_cast<int64_t>(part_size(first));
    if (of_.progress != nullptr && remaining > 0) of_.progress->begin("attacks", remaining, "images");
    SharedProgress shared(of_.progress);
    standing_.resize(of_.models.count());
    for (size_t first = 0; first < indices_.size(); first += kPart) {
      const Json part = of_.parts.get(key_of(first), [&] { return Json(attack(first, shared)); });
      for (size_t m = 0; m < standing_.size(); ++m) append(standing_[m], part[m].get<Standing>());
    }
    if (of_.progress != nullptr && remaining > 0) of_.progress->end();
    return dimension();
  }

 private:
  static std::string key_of(size_t first) { return fmt::format("attacks from image {}", first); }
  size_t part_size(size_t first) const { return std::min(kPart, indices_.size() - first); }
  /// What was made for a model alone says nothing of transfer.
  bool wanted(const AttackRow& row) const {
    const auto& keys = options_.attacks;
    if (!keys.empty()) return std::find(keys.begin(), keys.end(), row.key) != keys.end();
    return std::string_view(row.key) != "transfer" || of_.models.count() > 1;
  }
  static void append(Standing& all, const Standing& more) {
    for (const auto& [key, by_radius] : more) {
      all[key].resize(by_radius.size());
      for (size_t r = 0; r < by_radius.size(); ++r) all[key][r] += by_radius[r];
    }
  }

  /// On the CPU by the products that answer too; on a GPU plain ones, in float32.
  AttackedPlace place() const {
    if (!of_.models.device().is_cpu()) return {.device = of_.models.device()};
    return {.packed = of_.request.classify.compute.type};
  }

  /// Copies of all weights, made when the first part is attacked.
  const std::vector<ImageLogits>& logits() {
    for (size_t m = logits_.size(); m < of_.models.count(); ++m) {
      const ImageClassifier& classifier = of_.models.classifier(m);
      logits_.push_back(differentiable_logits(classifier.seeing(), classifier.class_vectors(),
                                              of_.models.preprocessor(), place(), classifier.prepared().activations,
                                              classifier.prepared().ranges));
    }
    return logits_;
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

  /// [model]
  std::vector<Standing> attack(size_t first, SharedProgress& shared) {
    logits();
    const size_t size = part_size(first);
    const size_t at_once = attack_batch_size(of_.models.classifier(0).seeing().config(), of_.models.device());
    std::vector<Standing> standing(of_.models.count());
    for (Standing& own : standing)
      for (const AttackRow* row : rows_) own[row->key].assign(options_.attack_radii.size(), std::string(size, '0'));
    const size_t batches = (size + at_once - 1) / at_once;
    parallel_for(static_cast<int64_t>(batches), of_.models.workers(), [&](int64_t batch, int) {
      const size_t begin = static_cast<size_t>(batch) * at_once, count = std::min(at_once, size - begin);
      attack_batch(first, begin, count, standing);
      shared.add(static_cast<int64_t>(count));
    });
    return standing;
  }

  /// Writes its own images' letters only, so that batches may run at once.
  void attack_batch(size_t part, size_t begin, size_t count, std::vector<Standing>& standing) const {
    const at::Tensor images = images_of(part + begin, count);
    std::vector<int64_t> right;
    std::vector<int64_t> numbers;
    for (size_t i = part + begin; i < part + begin + count; ++i) {
      right.push_back(of_.images.images[indices_[i]].label);
      numbers.push_back(static_cast<int64_t>(indices_[i]));
    }
    const at::Tensor labels = at::tensor(right, at::kLong);
    const MadeForFirst made = made_for_first(images, labels, numbers);
    for (size_t m = 0; m < standing.size(); ++m) {
      const Clean clean = clean_of(m, images, labels);
      for (const AttackRow* row : rows_) {
        std::vector<bool> fooled = clean.wrong;
        const Attack attack = attack_of(*row, m, images, labels, clean, made);
        for (size_t r = 0; r < options_.attack_radii.size(); ++r) {
          const std::vector<int64_t> left = standing_of(fooled);
          if (!left.empty()) {
            AttackSettings settings = settings_of(*row, options_.attack_radii[r], images[0].numel());
            for (const int64_t i : left) settings.images.push_back(numbers[static_cast<size_t>(i)]);
            const std::vector<bool> now = attack(left, r, settings);
            for (size_t k = 0; k < left.size(); ++k)
              if (now[k]) fooled[static_cast<size_t>(left[k])] = true;
          }
          for (size_t i = 0; i < count; ++i) standing[m].at(row->key)[r][begin + i] = fooled[i] ? '0' : '1';
        }
      }
    }
  }

  /// What a model makes of images that nobody has changed.
  struct Clean {
    std::vector<bool> wrong;
    at::Tensor gradients;  ///< of the loss, where FGSM asks for them
  };
  Clean clean_of(size_t m, const at::Tensor& images, const at::Tensor& labels) const {
    Clean clean;
    at::Tensor answers;
    if (std::any_of(rows_.begin(), rows_.end(), [](auto row) { return std::string_view(row->key) == "fgsm"; })) {
      clean.gradients = loss_gradient(logits_[m], images, labels, &answers);
    } else {
      const c10::NoGradGuard no_gradients;
      answers = logits_[m](images);
    }
    clean.wrong = wrong_answers(answers, labels);
    return clean;
  }

  static std::vector<int64_t> standing_of(const std::vector<bool>& fooled) {
    std::vector<int64_t> left;
    for (size_t i = 0; i < fooled.size(); ++i)
      if (!fooled[i]) left.push_back(static_cast<int64_t>(i));
    return left;
  }

  /// Once for all models, each image to its greatest loss.
  MadeForFirst made_for_first(const at::Tensor& images, const at::Tensor& labels,
                              const std::vector<int64_t>& numbers) const {
    MadeForFirst made;
    const auto transfer =
        std::find_if(rows_.begin(), rows_.end(), [](auto row) { return std::string_view(row->key) == "transfer"; });
    if (transfer == rows_.end()) return made;
    for (const double radius : options_.attack_radii) {
      AttackSettings settings = settings_of(**transfer, radius, images[0].numel());
      settings.images = numbers;
      settings.until_fooled = false;
      Attacked found = pgd(logits_.front(), images, labels, settings);
      made.images.push_back(std::move(found.images));
      made.fooled.push_back(std::move(found.fooled));
    }
    return made;
  }

  /// Which of the images `left` are fooled within radius number r.
  using Attack = std::function<std::vector<bool>(const std::vector<int64_t>& left, size_t r, const AttackSettings&)>;

  Attack attack_of(const AttackRow& row, size_t m, const at::Tensor& images, const at::Tensor& labels,
                   const Clean& clean, const MadeForFirst& made) const {
    const std::string key = row.key;
    const ImageLogits& own = logits_[m];
    const auto some = [](const at::Tensor& all, const std::vector<int64_t>& which) {
      return all.index_select(0, at::tensor(which, at::kLong));
    };
    if (key == "fgsm")
      return [=, gradients = clean.gradients](const auto& left, size_t, const AttackSettings& settings) {
        return fgsm(own, some(images, left), some(labels, left), some(gradients, left), settings.radius).fooled;
      };
    if (key == "square")
      return [=](const std::vector<int64_t>& left, size_t, const AttackSettings& settings) {
        return square_attack(own, some(images, left), some(labels, left), settings).fooled;
      };
    if (key == "transfer")
      return [=, &made](const std::vector<int64_t>& left, size_t r, const AttackSettings&) {
        const c10::NoGradGuard no_gradients;
        return wrong_answers(own(some(made.images[r], left)), some(labels, left));
      };
    if (key == "pgd" && m == 0 && !made.fooled.empty())  // attacked so already
      return [&made](const std::vector<int64_t>& left, size_t r, const AttackSettings&) {
        std::vector<bool> fooled;
        for (const int64_t i : left) fooled.push_back(made.fooled[r][static_cast<size_t>(i)]);
        return fooled;
      };
    return [=](const std::vector<int64_t>& left, size_t, const AttackSettings& settings) {
      return pgd(own, some(images, left), some(labels, left), settings).fooled;
    };
  }

  AttackSettings settings_of(const AttackRow& row, double radius, int64_t values) const {
    AttackSettings settings{.radius = radius,
                            .steps = options_.attack_steps,
                            .restarts = options_.attack_restarts,
                            .queries = options_.square_queries,
                            .seed = options_.seed,
                            .until_fooled = true};
    if (row.linf) return settings;
    settings.norm = AttackNorm::kL2;
    settings.radius = radius * std::sqrt(static_cast<double>(values) / 12);  // 0.5 beside 8/255 at 32 x 32, as is usual
    return settings;
  }

  ReliabilityDimension dimension() const {
    ReliabilityDimension dimension{"attacks", "Attacks"};
    dimension.notes = {
        fmt::format(
            "{} images; PGD of {} steps from {} random starts, the square attack of {} queries; radii are those of "
            "the largest change of a value in 0 to 1, of l2 sqrt(values / 12) times as large",
            indices_.size(), options_.attack_steps, options_.attack_restarts, options_.square_queries),
        "the worst case is each image's worst over all attacks within the ball of the largest change"};
    const PairedBootstrap bootstrap({indices_.size()}, options_, of_.clusters(indices_));
    for (size_t r = 0; r < options_.attack_radii.size(); ++r) {
      std::vector<std::vector<double>> worst(standing_.size(), std::vector<double>(indices_.size(), 1.0));
      for (const AttackRow* row : rows_) {
        std::vector<std::vector<double>> values;
        for (size_t m = 0; m < standing_.size(); ++m) {
          values.push_back(as_numbers(standing_[m].at(row->key)[r]));
          if (row->linf)
            for (size_t i = 0; i < indices_.size(); ++i) worst[m][i] = std::min(worst[m][i], values[m][i]);
        }
        dimension.rows.push_back(row_of(bootstrap, row->key, row->name, values, options_.attack_radii[r]));
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
  std::vector<const AttackRow*> rows_;
  std::vector<ImageLogits> logits_;  // [model]
  std::vector<Standing> standing_;   // [model]
};

}  // namespace

std::vector<std::string_view> attack_keys() {
  std::vector<std::string_view> keys;
  for (const AttackRow& row : kAttacks) keys.push_back(row.key);
  return keys;
}

ReliabilityDimension measure_attacks(const ImageReliability& of) {
  if (of.request.options.attack_radii.empty()) return {"attacks", "Attacks", {"no radius was asked for"}};
  return AttackSuite(of).run();
}

}  // namespace vernier
