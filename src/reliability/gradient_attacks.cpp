// FGSM and PGD.

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>

#include "corruptions/drawn.h"
#include "vernier/attacks.h"
#include "vernier/corruptions.h"

namespace vernier {

namespace {

/// What has been found so far: per image the greatest loss with its image, and whether any was answered wrongly.
class Best {
 public:
  explicit Best(const at::Tensor& images)
      : found_{images.clone(), std::vector<bool>(static_cast<size_t>(images.size(0)))},
        loss_(at::full({images.size(0)}, -1.0, at::kDouble)) {}

  void see(const at::Tensor& images, const at::Tensor& logits, const at::Tensor& losses, const at::Tensor& labels) {
    const at::Tensor wide = losses.detach().to(at::kDouble), better = wide > loss_;
    loss_ = at::where(better, wide, loss_);
    found_.images = at::where(better.view({-1, 1, 1, 1}), images.detach(), found_.images);
    const std::vector<bool> wrong = wrong_answers(logits, labels);
    for (size_t i = 0; i < wrong.size(); ++i) found_.fooled[i] = found_.fooled[i] || wrong[i];
  }
  const Attacked& found() const { return found_; }

 private:
  Attacked found_;
  at::Tensor loss_;
};

at::Tensor losses_of(const at::Tensor& logits, const at::Tensor& labels) {
  return -logits.log_softmax(-1).gather(-1, labels.unsqueeze(-1)).squeeze(-1);
}

/// Looks at `images` and returns the gradient of the sum of their losses.
at::Tensor gradient_at(const ImageLogits& logits_of, const at::Tensor& images, const at::Tensor& labels, Best& best) {
  const c10::AutoGradMode with_gradients(true);
  const at::Tensor leaf = images.detach().clone().set_requires_grad(true);
  const at::Tensor logits = logits_of(leaf), losses = losses_of(logits, labels);
  best.see(leaf, logits, losses, labels);
  return torch::autograd::grad({losses.sum()}, {leaf})[0];
}

void look_at(const ImageLogits& logits_of, const at::Tensor& images, const at::Tensor& labels, Best& best) {
  const c10::NoGradGuard no_gradients;
  const at::Tensor logits = logits_of(images);
  best.see(images, logits, losses_of(logits, labels), labels);
}

at::Tensor lengths(const at::Tensor& x) { return x.flatten(1).norm(2, 1).view({-1, 1, 1, 1}); }

/// Into the ball around `images` and into [0, 1].
at::Tensor projected(const at::Tensor& x, const at::Tensor& images, const AttackSettings& settings) {
  at::Tensor change = x - images;
  if (settings.norm == AttackNorm::kLinf)
    change = change.clamp(-settings.radius, settings.radius);
  else
    change = change * (settings.radius / lengths(change).clamp_min(1e-12)).clamp_max(1);
  return (images + change).clamp(0, 1);
}

/// Uniform in the cube of linf; in l2 of random direction and length.
at::Tensor random_start(const at::Tensor& images, const AttackSettings& settings, int restart) {
  const at::Tensor change = at::empty_like(images);
  const int64_t batch = images.size(0), each = images.numel() / batch;
  for (int64_t i = 0; i < batch; ++i) {
    const int64_t image = settings.images.empty() ? i : settings.images[static_cast<size_t>(i)];
    Drawn drawn(corruption_seed(settings.seed, image, "pgd", restart));
    std::vector<float> values;
    double squares = 0;
    for (int64_t k = 0; k < each; ++k) {
      const double value =
          settings.norm == AttackNorm::kLinf ? drawn.uniform(-settings.radius, settings.radius) : drawn.normal();
      squares += value * value;
      values.push_back(static_cast<float>(value));
    }
    at::Tensor own = at::tensor(values).view_as(images[i]);
    if (settings.norm == AttackNorm::kL2) own = own * (settings.radius * drawn.uniform() / std::sqrt(squares));
    change[i].copy_(own);
  }
  return projected(images + change, images, settings);
}

}  // namespace

std::vector<bool> wrong_answers(const at::Tensor& logits, const at::Tensor& labels) {
  const at::Tensor wrong = (logits.detach().argmax(-1) != labels).to(at::kByte).contiguous();
  const uint8_t* values = wrong.data_ptr<uint8_t>();
  return std::vector<bool>(values, values + wrong.numel());
}

Attacked fgsm(const ImageLogits& logits_of, const at::Tensor& images, const at::Tensor& labels, double radius) {
  Best before(images), after(images);
  const at::Tensor gradient = gradient_at(logits_of, images, labels, before);
  const at::Tensor changed = (images + radius * gradient.sign()).clamp(0, 1);
  look_at(logits_of, changed, labels, after);
  return after.found();
}

Attacked pgd(const ImageLogits& logits_of, const at::Tensor& images, const at::Tensor& labels,
             const AttackSettings& settings) {
  Best best(images);
  const bool cube = settings.norm == AttackNorm::kLinf;
  const double step = settings.radius / (cube ? 4 : 5);
  for (int restart = 0; restart < settings.restarts; ++restart) {
    at::Tensor x = random_start(images, settings, restart);
    for (int i = 0; i < settings.steps; ++i) {
      const at::Tensor gradient = gradient_at(logits_of, x, labels, best);
      const at::Tensor direction = cube ? gradient.sign() : gradient / lengths(gradient).clamp_min(1e-20);
      x = projected(x + step * direction, images, settings);
    }
    look_at(logits_of, x, labels, best);
  }
  return best.found();
}

}  // namespace vernier
