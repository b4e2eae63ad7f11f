// Attacks against models whose worst changes are known, and gradients against differences.

#include "vernier/attacks.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <optional>
#include <string>
#include <utility>

#include "engine/aten_answers.h"
#include "support/vision_models.h"

namespace vernier {
namespace {

const ImagePreprocessor kPreprocessor{.rescale = 1 / 255.0, .mean = {0.5, 0.4, 0.3}, .deviation = {0.25, 0.3, 0.5}};

at::Tensor made_up_images(int64_t count, int64_t side) {
  return (at::arange(count * 3 * side * side, at::kDouble) * 12.9898)
      .sin()
      .mul(43758.5453)
      .frac()
      .abs()
      .view({count, 3, side, side})
      .to(at::kFloat);
}

Model tiny_vit() { return load_model(vision_fixture("vit").string()); }

/// Two classes whose difference is w . x - b: what changes it most is known.
struct LinearModel {
  at::Tensor w;
  double b;
  ImageLogits logits() const {
    return [*this](const at::Tensor& images) {
      const at::Tensor z = (images * w).flatten(1).sum(1) - b;
      return at::stack({z, at::zeros_like(z)}, 1);
    };
  }
};

LinearModel linear_model() {
  const at::Tensor w = (at::arange(3 * 4 * 4, at::kFloat) * 1.7).sin().view({1, 3, 4, 4});
  return {w, (w * 0.5).sum().item<double>()};
}

TEST(Attacks, LogitsAreThoseOfTheModel) {
  const Model model = tiny_vit();
  const at::Tensor images = made_up_images(3, model.config().patches.image_size);
  const at::Tensor mean = at::tensor({0.5, 0.4, 0.3}).view({1, 3, 1, 1}),
                   deviation = at::tensor({0.25, 0.3, 0.5}).view({1, 3, 1, 1});
  const at::Tensor expected = classify(model, ((images.to(at::kDouble) - mean) / deviation).to(at::kFloat));
  EXPECT_LT(relative_distance(differentiable_logits(model, {}, kPreprocessor)(images), expected), 1e-5);
}

TEST(Attacks, GradientsAreDifferences) {
  const Model model = tiny_vit();
  const ImageLogits logits_of = differentiable_logits(model, {}, kPreprocessor, {.type = at::kDouble});
  const at::Tensor images = made_up_images(1, model.config().patches.image_size).to(at::kDouble);
  const auto loss_of = [&](const at::Tensor& x) { return -logits_of(x).log_softmax(-1)[0][1]; };
  const at::Tensor leaf = images.clone().set_requires_grad(true);
  const at::Tensor gradient = torch::autograd::grad({loss_of(leaf)}, {leaf})[0].flatten();
  const c10::NoGradGuard no_gradients;
  const double step = 1e-5;
  for (int64_t k = 0; k < gradient.numel(); k += gradient.numel() / 23) {
    at::Tensor up = images.clone(), down = images.clone();
    up.view(-1)[k].add_(step);
    down.view(-1)[k].sub_(step);
    const double slope = (loss_of(up) - loss_of(down)).item<double>() / (2 * step);
    EXPECT_NEAR(gradient[k].item<double>(), slope, 1e-7 + 1e-5 * std::abs(slope)) << k;  // of second order in the step
  }
}

TEST(Attacks, OfALinearModelTheSignIsTheWorst) {
  const LinearModel model = linear_model();
  const at::Tensor images = made_up_images(40, 4) * 0.5 + 0.25;  // far from the borders
  const at::Tensor labels = model.logits()(images).argmax(-1);
  const double radius = 0.03;
  const at::Tensor z = model.logits()(images).select(1, 0),
                   sign = at::where(labels == 0, at::full_like(z, -1), at::ones_like(z));
  const at::Tensor reach = model.w.abs().sum() * radius;
  const Attacked one = fgsm(model.logits(), images, labels, radius);
  const AttackSettings settings{.radius = radius, .steps = 10, .restarts = 2};
  const Attacked many = pgd(model.logits(), images, labels, settings);
  for (int64_t i = 0; i < images.size(0); ++i) {
    const double worst = (z[i] + sign[i] * reach).item<double>();
    const bool falls = (labels[i].item<int64_t>() == 0) == (worst < 0);
    EXPECT_EQ(one.fooled[static_cast<size_t>(i)], falls) << i;
    EXPECT_EQ(many.fooled[static_cast<size_t>(i)], falls) << i;
  }
  EXPECT_LT((one.images - (images + radius * sign.view({-1, 1, 1, 1}) * model.w.sign())).abs().max().item<double>(),
            1e-6);
}

TEST(Attacks, InL2TheGradientIsTheWorst) {
  const LinearModel model = linear_model();
  const at::Tensor images = made_up_images(20, 4) * 0.2 + 0.4;
  const at::Tensor labels = model.logits()(images).argmax(-1);
  const AttackSettings settings{.radius = 0.1, .norm = AttackNorm::kL2, .steps = 60};
  const Attacked found = pgd(model.logits(), images, labels, settings);
  const at::Tensor change = found.images - images;
  EXPECT_LE(change.flatten(1).norm(2, 1).max().item<double>(), 0.1 + 1e-6);
  const at::Tensor gained = ((found.images - images) * model.w).flatten(1).sum(1).abs();
  EXPECT_GT((gained / (model.w.norm() * 0.1)).min().item<double>(), 0.999) << "all of the radius along the gradient";
}

void expect_within(const at::Tensor& changed, const at::Tensor& images, double radius) {
  EXPECT_LE((changed - images).abs().max().item<double>(), radius + 1e-6);
  EXPECT_GE(changed.min().item<double>(), 0);
  EXPECT_LE(changed.max().item<double>(), 1);
}

TEST(Attacks, StayInTheBallAndPgdIsNoWeakerThanFgsm) {
  const Model model = tiny_vit();
  const ImageLogits logits_of = differentiable_logits(model, {}, kPreprocessor);
  const at::Tensor images = made_up_images(24, model.config().patches.image_size);
  const at::Tensor labels = logits_of(images).argmax(-1);
  for (const double radius : {2.0 / 255, 8.0 / 255}) {
    const Attacked one = fgsm(logits_of, images, labels, radius);
    const Attacked many = pgd(logits_of, images, labels, {.radius = radius, .restarts = 2});
    const Attacked blind = square_attack(logits_of, images, labels, {.radius = radius, .queries = 50});
    for (const Attacked* found : {&one, &many, &blind}) expect_within(found->images, images, radius);
    const auto fooled = [](const Attacked& found) {
      return std::count(found.fooled.begin(), found.fooled.end(), true);
    };
    EXPECT_GE(fooled(many), fooled(one)) << radius;
  }
}

TEST(Attacks, TheSquareAttackNeedsNoGradient) {
  const LinearModel model = linear_model();
  const at::Tensor images = made_up_images(40, 4) * 0.5 + 0.25, labels = model.logits()(images).argmax(-1);
  const ImageLogits cut = [&](const at::Tensor& x) {
    EXPECT_FALSE(c10::GradMode::is_enabled());
    return model.logits()(x).detach();
  };
  const double radius = 0.05;
  const Attacked found = square_attack(cut, images, labels, {.radius = radius, .queries = 300});
  const Attacked best = fgsm(model.logits(), images, labels, radius);
  int64_t all = 0, some = 0;
  for (size_t i = 0; i < 40; ++i) {
    EXPECT_LE(found.fooled[i], best.fooled[i]) << "nothing beats the sign here";
    all += best.fooled[i] ? 1 : 0, some += found.fooled[i] ? 1 : 0;
  }
  EXPECT_GT(all, 0);
  EXPECT_GE(some, all - 2) << "and 300 squares of 16 pixels come close";
}

TEST(Attacks, StoppingAtWhatFoolsFoolsAsMany) {
  const Model model = tiny_vit();
  const ImageLogits logits_of = differentiable_logits(model, {}, kPreprocessor);
  const at::Tensor images = made_up_images(24, model.config().patches.image_size);
  const at::Tensor labels = logits_of(images).argmax(-1);
  for (const AttackNorm norm : {AttackNorm::kLinf, AttackNorm::kL2}) {
    AttackSettings settings{.radius = norm == AttackNorm::kLinf ? 6.0 / 255 : 0.5, .norm = norm, .restarts = 2};
    const Attacked whole = pgd(logits_of, images, labels, settings);
    settings.until_fooled = true;
    int64_t seen = 0;
    const ImageLogits counting = [&](const at::Tensor& x) {
      seen += x.size(0);
      return logits_of(x);
    };
    const Attacked stopped = pgd(counting, images, labels, settings);
    EXPECT_EQ(stopped.fooled, whole.fooled);
    EXPECT_LT(seen, 24 * 2 * 11) << "fewer than all restarts and steps";
    EXPECT_GT(std::count(whole.fooled.begin(), whole.fooled.end(), true), 0);
    for (int64_t i = 0; i < 24; ++i) {
      const bool fools =
          logits_of(stopped.images.narrow(0, i, 1)).argmax().item<int64_t>() != labels[i].item<int64_t>();
      if (fools) {
        EXPECT_TRUE(stopped.fooled[static_cast<size_t>(i)]) << i;
      }
    }
  }
}

TEST(Attacks, OneGradientServesEveryRadius) {
  const Model model = tiny_vit();
  const ImageLogits logits_of = differentiable_logits(model, {}, kPreprocessor);
  const at::Tensor images = made_up_images(5, model.config().patches.image_size);
  const at::Tensor labels = logits_of(images).argmax(-1), gradient = loss_gradient(logits_of, images, labels);
  for (const double radius : {1.0 / 255, 8.0 / 255}) {
    const Attacked own = fgsm(logits_of, images, labels, radius),
                   shared = fgsm(logits_of, images, labels, gradient, radius);
    EXPECT_EQ(own.fooled, shared.fooled);
    EXPECT_TRUE(own.images.equal(shared.images));
  }
}

TEST(Attacks, GradientsGoStraightThroughRoundedInputs) {
  const Model model = tiny_vit();
  const Activations rounding = Activations::parse("int8:token");
  const ImageLogits exact = differentiable_logits(model, {}, kPreprocessor),
                    rounded = differentiable_logits(model, {}, kPreprocessor, {}, rounding);
  const at::Tensor images = made_up_images(4, model.config().patches.image_size);
  const at::Tensor labels = exact(images).argmax(-1);
  const at::Tensor mean = at::tensor({0.5, 0.4, 0.3}).view({1, 3, 1, 1}),
                   deviation = at::tensor({0.25, 0.3, 0.5}).view({1, 3, 1, 1});
  const at::Tensor pixels = ((images.to(at::kDouble) - mean) / deviation).to(at::kFloat);
  const at::Tensor expected = classify(model, pixels, AtenModel::Place{.inputs = {rounding, nullptr}});
  EXPECT_LT(relative_distance(rounded(images), expected), 1e-5);
  EXPECT_GT(relative_distance(rounded(images), exact(images)), 1e-5) << "rounding is there";
  // Straight through, the gradient is that of the model without rounding at states that are a little off.
  const at::Tensor a = loss_gradient(exact, images, labels).flatten(1),
                   b = loss_gradient(rounded, images, labels).flatten(1);
  const at::Tensor cosines = (a * b).sum(1) / (a.norm(2, 1) * b.norm(2, 1));
  EXPECT_GT(cosines.min().item<double>(), 0.98);
}

TEST(Attacks, PackedProductsGiveTheSameLogitsAndGradients) {
  const Model model = tiny_vit();
  const at::Tensor images = made_up_images(5, model.config().patches.image_size);
  for (const char* rounding : {"exact", "int8:token"}) {
    const auto logits_of = [&](std::optional<ComputeType> packed) {
      return differentiable_logits(model, {}, kPreprocessor, {.packed = packed}, Activations::parse(rounding));
    };
    const ImageLogits plain = logits_of(std::nullopt);
    const at::Tensor labels = plain(images).argmax(-1);
    const at::Tensor gradient = loss_gradient(plain, images, labels).flatten(1);
    // Rounded inputs: a last bit moves some values by a whole step. bfloat16: 8 bits of each factor.
    const bool exact = std::string(rounding) == "exact";
    const std::pair<ComputeType, double> types[] = {{ComputeType::kFloat32, exact ? 1e-5 : 0.02},
                                                    {ComputeType::kBFloat16, 0.03}};
    for (const auto& [type, tolerance] : types) {
      const ImageLogits packed = logits_of(type);
      at::Tensor said;
      const at::Tensor own = loss_gradient(packed, images, labels, &said).flatten(1);
      EXPECT_LT(relative_distance(said, plain(images)), tolerance) << rounding << " " << tolerance;
      EXPECT_LT(relative_distance(own, gradient), 3 * tolerance) << rounding << " " << tolerance;
    }
  }
}

TEST(Attacks, AnImageIsAttackedAlikeInAnyBatch) {
  const LinearModel model = linear_model();
  const at::Tensor images = made_up_images(6, 4), labels = at::zeros({6}, at::kLong);
  for (const auto attack : {pgd, square_attack}) {
    const at::Tensor together = attack(model.logits(), images, labels, {.restarts = 2, .queries = 20}).images;
    for (int64_t i = 0; i < 6; ++i) {
      AttackSettings alone{.restarts = 2, .queries = 20};
      alone.images = {i};
      EXPECT_TRUE(
          attack(model.logits(), images.narrow(0, i, 1), labels.narrow(0, i, 1), alone).images[0].equal(together[i]));
    }
  }
}

}  // namespace
}  // namespace vernier
