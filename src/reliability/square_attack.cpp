#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>

#include "corruptions/drawn.h"
#include "vernier/attacks.h"
#include "vernier/corruptions.h"

namespace vernier {

namespace {

/// Share of the image that a square covers: halved ten times on the way, as the authors have it for 10,000 queries.
double share_at(int query, int queries) {
  const double at = 10000.0 * query / queries;
  double share = 0.8;
  for (const double end : {10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000})
    if (at > end) share /= 2;
  return share;
}

/// Logit of the label less the greatest other one: below 0 where the answer is wrong.
std::vector<double> margins_of(const at::Tensor& logits, const at::Tensor& labels) {
  const at::Tensor wide = logits.to(at::kDouble), column = labels.unsqueeze(-1);
  const at::Tensor right = wide.gather(-1, column).squeeze(-1);
  const at::Tensor margins = (right - wide.scatter(-1, column, -INFINITY).amax(-1)).contiguous();
  return {margins.data_ptr<double>(), margins.data_ptr<double>() + margins.numel()};
}

/// One image under attack.
class Squares {
 public:
  Squares(const at::Tensor& image, double radius, uint64_t seed) : image_(image), radius_(radius), drawn_(seed) {
    // Stripes of one column each.
    at::Tensor change = at::empty_like(image);
    for (int64_t c = 0; c < image.size(0); ++c)
      for (int64_t x = 0; x < image.size(2); ++x) change[c].select(1, x).fill_(side());
    best_ = (image + change).clamp(0, 1);
  }

  at::Tensor first() const { return best_; }
  at::Tensor proposal(double share) {
    const int64_t height = image_.size(1), width = image_.size(2);
    const auto wanted = std::lround(std::sqrt(share * static_cast<double>(height * width)));
    const int64_t size = std::clamp<int64_t>(wanted, 1, std::min(height, width) - 1);
    const int64_t top = drawn_.below(height - size + 1), left = drawn_.below(width - size + 1);
    at::Tensor next = best_.clone();
    for (int64_t c = 0; c < image_.size(0); ++c)
      next[c]
          .narrow(0, top, size)
          .narrow(1, left, size)
          .copy_((image_[c].narrow(0, top, size).narrow(1, left, size) + side()).clamp(0, 1));
    return next;
  }
  void take(const at::Tensor& next) { best_ = next; }
  const at::Tensor& best() const { return best_; }

 private:
  double side() { return drawn_.uniform() < 0.5 ? -radius_ : radius_; }

  at::Tensor image_, best_;
  double radius_;
  Drawn drawn_;
};

}  // namespace

Attacked square_attack(const ImageLogits& logits_of, const at::Tensor& images, const at::Tensor& labels,
                       const AttackSettings& settings) {
  const c10::NoGradGuard no_gradients;
  std::vector<Squares> attacks;
  std::vector<at::Tensor> tried;
  for (int64_t i = 0; i < images.size(0); ++i) {
    const int64_t image = settings.images.empty() ? i : settings.images[static_cast<size_t>(i)];
    attacks.emplace_back(images[i], settings.radius, corruption_seed(settings.seed, image, "square", 0));
    tried.push_back(attacks.back().first());
  }
  std::vector<double> margins = margins_of(logits_of(at::stack(tried)), labels);
  for (int query = 1; query < settings.queries; ++query) {
    std::vector<int64_t> standing;
    for (size_t i = 0; i < margins.size(); ++i)
      if (margins[i] >= 0) standing.push_back(static_cast<int64_t>(i));
    if (standing.empty()) break;
    tried.clear();
    for (const int64_t i : standing)
      tried.push_back(attacks[static_cast<size_t>(i)].proposal(share_at(query, settings.queries)));
    const std::vector<double> found =
        margins_of(logits_of(at::stack(tried)), labels.index_select(0, at::tensor(standing, at::kLong)));
    for (size_t k = 0; k < standing.size(); ++k) {
      const auto i = static_cast<size_t>(standing[k]);
      if (found[k] >= margins[i]) continue;
      margins[i] = found[k];
      attacks[i].take(tried[k]);
    }
  }
  tried.clear();
  for (const Squares& attack : attacks) tried.push_back(attack.best());
  const at::Tensor changed = at::stack(tried);
  return {changed, wrong_answers(logits_of(changed), labels)};
}

}  // namespace vernier
