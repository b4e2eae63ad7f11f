// FGSM and PGD.

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

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

  /// Of the images whose numbers are `which`.
  void see(const at::Tensor& which, const at::Tensor& images, const at::Tensor& logits, const at::Tensor& losses,
           const at::Tensor& labels) {
    const c10::NoGradGuard no_gradients;
    const at::Tensor wide = losses.detach().to(at::kDouble), known = loss_.index_select(0, which);
    const at::Tensor better = wide > known;
    loss_.index_copy_(0, which, at::where(better, wide, known));
    found_.images.index_copy_(0, which,
                              at::where(better.view({-1, 1, 1, 1}), images.detach().to(found_.images.scalar_type()),
                                        found_.images.index_select(0, which)));
    const std::vector<bool> wrong = wrong_answers(logits, labels);
    for (size_t k = 0; k < wrong.size(); ++k)
      if (wrong[k]) found_.fooled[static_cast<size_t>(which[static_cast<int64_t>(k)].item<int64_t>())] = true;
  }
  /// Places in `which` of those that nothing has fooled yet.
  at::Tensor standing(const at::Tensor& which) const {
    std::vector<int64_t> places;
    for (int64_t k = 0; k < which.size(0); ++k)
      if (!found_.fooled[static_cast<size_t>(which[k].item<int64_t>())]) places.push_back(k);
    return at::tensor(places, at::kLong);
  }
  const Attacked& found() const { return found_; }

 private:
  Attacked found_;
  at::Tensor loss_;
};

at::Tensor losses_of(const at::Tensor& logits, const at::Tensor& labels) {
  return -logits.log_softmax(-1).gather(-1, labels.unsqueeze(-1)).squeeze(-1);
}

/// A pass forward that can go back.
struct Pass {
  at::Tensor images, logits, losses;

  Pass(const ImageLogits& logits_of, const at::Tensor& x, const at::Tensor& labels) {
    const c10::AutoGradMode with_gradients(true);
    images = x.detach().clone().set_requires_grad(true);
    logits = logits_of(images);
    losses = losses_of(logits, labels);
  }
  /// Of the sum of the losses.
  at::Tensor gradient() const { return torch::autograd::grad({losses.sum()}, {images})[0]; }
};

/// Some of the images under attack.
struct Trial {
  at::Tensor which, images, labels;  // which: their numbers among all

  Trial some(const at::Tensor& places) const {
    return {which.index_select(0, places), images.index_select(0, places), labels.index_select(0, places)};
  }
  void look_at(const ImageLogits& logits_of, const at::Tensor& x, Best& best) const {
    const c10::NoGradGuard no_gradients;
    const at::Tensor logits = logits_of(x);
    best.see(which, x, logits, losses_of(logits, labels), labels);
  }
};

Trial all_of(const at::Tensor& images, const at::Tensor& labels) {
  return {at::arange(images.size(0), at::kLong), images, labels};
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
at::Tensor random_start(const Trial& trial, const AttackSettings& settings, int restart) {
  const at::Tensor& images = trial.images;
  const at::Tensor change = at::empty_like(images);
  const int64_t batch = images.size(0), each = images.numel() / batch;
  for (int64_t i = 0; i < batch; ++i) {
    const int64_t number = trial.which[i].item<int64_t>();
    const int64_t image = settings.images.empty() ? number : settings.images[static_cast<size_t>(number)];
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

at::Tensor loss_gradient(const ImageLogits& logits_of, const at::Tensor& images, const at::Tensor& labels,
                         at::Tensor* logits) {
  const Pass pass(logits_of, images, labels);
  if (logits != nullptr) *logits = pass.logits.detach();
  return pass.gradient();
}

Attacked fgsm(const ImageLogits& logits_of, const at::Tensor& images, const at::Tensor& labels,
              const at::Tensor& gradient, double radius) {
  Best best(images);
  all_of(images, labels).look_at(logits_of, (images + radius * gradient.sign()).clamp(0, 1), best);
  return best.found();
}

Attacked fgsm(const ImageLogits& logits_of, const at::Tensor& images, const at::Tensor& labels, double radius) {
  return fgsm(logits_of, images, labels, loss_gradient(logits_of, images, labels), radius);
}

Attacked pgd(const ImageLogits& logits_of, const at::Tensor& images, const at::Tensor& labels,
             const AttackSettings& settings) {
  Best best(images);
  const bool cube = settings.norm == AttackNorm::kLinf;
  const double step = settings.radius / (cube ? 4 : 5);
  Trial trial = all_of(images, labels);
  const auto leave_fooled = [&](at::Tensor& x) {
    if (!settings.until_fooled) return;
    const at::Tensor places = best.standing(trial.which);
    if (places.size(0) == trial.which.size(0)) return;
    trial = trial.some(places);
    x = x.index_select(0, places);
  };
  const auto gradient_at = [&](at::Tensor& x) {
    const Pass pass(logits_of, x, trial.labels);
    best.see(trial.which, x, pass.logits, pass.losses, trial.labels);
    const int64_t before = x.size(0);
    // Back is as long as forward: where half of the images have just been fooled, both of the others alone are no longer.
    if (!settings.until_fooled || 2 * best.standing(trial.which).size(0) > before) return pass.gradient();
    leave_fooled(x);
    return x.size(0) == 0 ? at::zeros_like(x) : Pass(logits_of, x, trial.labels).gradient();
  };
  for (int restart = 0; restart < settings.restarts && trial.which.size(0) > 0; ++restart) {
    at::Tensor x = random_start(trial, settings, restart);
    for (int i = 0; i < settings.steps && x.size(0) > 0; ++i) {
      const at::Tensor gradient = gradient_at(x);
      if (x.size(0) == 0) break;
      const at::Tensor direction = cube ? gradient.sign() : gradient / lengths(gradient).clamp_min(1e-20);
      x = projected(x + step * direction, trial.images, settings);
      leave_fooled(x);
    }
    if (x.size(0) == 0) break;
    trial.look_at(logits_of, x, best);
    leave_fooled(x);
  }
  return best.found();
}

}  // namespace vernier
