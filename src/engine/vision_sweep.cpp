#include "engine/vision_sweep.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "base/fail.h"
#include "engine/class_vectors.h"
#include "engine/logit_damage.h"
#include "ops/parallel.h"

namespace vernier {

namespace {

/// A perturbation of a stack's component, named as in a model of its own.
Perturbation within_stack(const Perturbation& p) {
  Perturbation own{p.component, p.weight};
  own.component.stack = Stack::kOnly;
  if (p.component.stack != Stack::kOnly)
    own.weight = [weight = p.weight, stack = p.component.stack](TensorId id) {
      id.stack = stack;
      return weight(id);
    };
  return own;
}

}  // namespace

void check_answer_data(const Model& model, const AnswerData& data, const char* stage) {
  const ModelConfig& config = model.config();
  if (config.is_language_model())
    fail(ErrorKind::kUnsupported, "{}: {} ({}) is a language model; expected one that sees images. Measure it on text",
         stage, model.source().name, config.family);
  const bool reads = !config.stacks.empty();
  const VisionInputs& in = data.inputs;
  const auto images = static_cast<size_t>(in.images);
  if (in.images < 1 || data.labels.size() != images || data.clusters.size() != images)
    fail(ErrorKind::kInvalidArgument,
         "{}: {}: {} images with {} labels and {} clusters; expected one each, and an image", stage, in.name, in.images,
         data.labels.size(), data.clusters.size());
  if (!reads && data.classes != config.read_out.classes)
    fail(ErrorKind::kInvalidArgument, "{}: {} tells {} classes apart, {} has {}; name those of the model", stage,
         model.source().name, config.read_out.classes, in.name, data.classes);
  const auto classes = static_cast<size_t>(std::max<int64_t>(1, data.classes));
  if (reads == in.texts.empty() || in.texts.size() % classes != 0)
    fail(ErrorKind::kInvalidArgument, "{}: {}: {} prompts for {} classes; a {} takes {}", stage, in.name,
         in.texts.size(), data.classes, config.family, reads ? "equally many for each class" : "none");
  for (const int32_t label : data.labels)
    if (label < -1 || label >= data.classes)
      fail(ErrorKind::kInvalidArgument, "{}: {}: label {}, expected 0 to {}, or -1 where it is unknown", stage, in.name,
           label, data.classes - 1);
}

VisionSweep::VisionSweep(const Engine& engine, const Model& model, const AnswerData& data, ComputeType type)
    : engine_(engine), model_(model), data_(data) {
  check_answer_data(model, data, "sweep");
  const bool reads = !model.config().stacks.empty();
  for (const Stack stack : reads ? std::vector{Stack::kImage, Stack::kText} : std::vector{Stack::kOnly}) {
    auto part = std::make_unique<Part>(Part{stack_of(model, stack), nullptr});
    part->sweep = engine.answer_sweep(part->model, data.inputs, type);
    parts_[stack] = std::move(part);
  }
  images_ = parts_.begin()->second->sweep->base().to(at::kDouble);
  if (reads) classes_ = classes_of(model, parts_.at(Stack::kText)->sweep->base());
}

at::Tensor VisionSweep::classes_of(const Model& model, const at::Tensor& prompts) const {
  std::vector<std::vector<float>> units;
  for (int64_t i = 0; i < prompts.size(0); ++i) {
    const float* row = prompts.data_ptr<float>() + i * prompts.size(1);
    units.emplace_back(row, row + prompts.size(1));
  }
  at::Tensor classes = at::empty({data_.classes, prompts.size(1)}, at::kDouble);
  double* out = classes.data_ptr<double>();
  for (const std::vector<double>& vector : class_vectors(model, units, static_cast<size_t>(data_.classes)))
    out = std::copy(vector.begin(), vector.end(), out);
  return classes;
}

at::Tensor VisionSweep::logits(const at::Tensor& images, const at::Tensor& classes) const {
  return classes.defined() ? at::matmul(images, classes.t()) : images;
}

std::vector<DamageSums> VisionSweep::compare_answers(const at::Tensor& images, const at::Tensor& classes) const {
  constexpr int64_t kImages = 64;  // at once: blocks of one size, whatever the number of threads
  const int64_t count = images_.size(0);
  std::vector<DamageSums> damage(static_cast<size_t>(count));
  parallel_for((count + kImages - 1) / kImages, engine_.workers(), [&](int64_t block, int) {
    const c10::NoGradGuard no_grad;
    const int64_t first = block * kImages, some = std::min(kImages, count - first);
    std::vector<int64_t> known;
    for (int64_t i = 0; i < some; ++i) known.push_back(std::max(0, data_.labels[static_cast<size_t>(first + i)]));
    const LogitDamage own =
        logit_damage(logits(images_.narrow(0, first, some), classes_), logits(images.narrow(0, first, some), classes),
                     at::tensor(known, at::kLong).unsqueeze(-1));
    const at::Tensor kl = own.kl.contiguous(), delta = own.delta_nll.contiguous(), same = own.same_top.contiguous();
    for (int64_t i = 0; i < some; ++i) {
      const auto at = static_cast<size_t>(first + i);
      damage[at] = {1, kl.data_ptr<double>()[i], data_.labels[at] < 0 ? 0.0 : delta.data_ptr<double>()[i],
                    same.data_ptr<double>()[i]};
    }
  });
  return damage;
}

std::vector<DamageSums> VisionSweep::compare(Stack stack, const at::Tensor& answers) const {
  if (stack == Stack::kText) return compare_answers(images_, classes_of(model_, answers));
  return compare_answers(answers.to(at::kDouble), classes_);
}

std::vector<std::vector<DamageSums>> VisionSweep::layer(Stack stack, int layer,
                                                        const std::vector<Perturbation>& perturbations,
                                                        const std::function<void()>& on_window) {
  std::vector<Perturbation> own;
  for (const Perturbation& p : perturbations) own.push_back(within_stack(p));
  const bool by_image = stack != Stack::kText;  // prompts are no windows
  std::vector<std::vector<DamageSums>> damage;
  for (const at::Tensor& answers : parts_.at(stack)->sweep->layer(layer, own, by_image ? on_window : nullptr))
    damage.push_back(compare(stack, answers));
  for (int64_t i = 0; !by_image && on_window && i < data_.inputs.images; ++i) on_window();
  return damage;
}

std::vector<DamageSums> VisionSweep::outside(const Perturbation& p) {
  return compare(p.component.stack, parts_.at(p.component.stack)->sweep->outside(within_stack(p)));
}

std::vector<DamageSums> VisionSweep::whole_model(const Model& other) {
  const auto answers = [&](Stack stack) { return parts_.at(stack)->sweep->whole_stack(stack_of(other, stack)); };
  if (!classes_.defined()) return compare_answers(answers(Stack::kOnly).to(at::kDouble), {});
  return compare_answers(answers(Stack::kImage).to(at::kDouble), classes_of(other, answers(Stack::kText)));
}

at::Tensor VisionSweep::base_logits(size_t window) {
  return logits(images_.narrow(0, static_cast<int64_t>(window), 1), classes_).to(at::kFloat);
}

}  // namespace vernier
