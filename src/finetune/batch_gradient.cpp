#include "finetune/batch_gradient.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include "base/fail.h"
#include "finetune/gradient_l1.h"
#include "ops/mixed_arithmetic.h"

namespace vernier {

namespace {

/// A recording fixes whatever the CPU decides for a batch: which experts are asked, what texts a model of images and texts
/// reads, which levels are dropped, what an adversary learns from the losses.
bool can_be_recorded(const BatchGradient::Recipe& r, const at::Device& device) {
  const FinetuneOptions& o = r.options;
  bool decides = !r.config.stacks.empty() || r.weighting.reads_losses() || o.drop_bits > 0 || o.gradient_l1 > 0;
  for (int layer = 0; r.config.stacks.empty() && layer < r.config.depth(); ++layer)
    decides = decides || r.config.layer(layer).feed_forward.experts.count > 0;
  return RecordedWork::is_available(device) && !decides && !o.time_stages;
}

/// Pairs of what a batch holds, defined in both.
std::vector<std::pair<at::Tensor*, const at::Tensor*>> tensors_of(GradientBatch& to, const GradientBatch& from) {
  std::vector<std::pair<at::Tensor*, const at::Tensor*>> all;
  const auto add = [&](at::Tensor& a, const at::Tensor& b) {
    if (b.defined()) all.emplace_back(&a, &b);
  };
  add(to.examples.inputs, from.examples.inputs);
  add(to.examples.seen_patches, from.examples.seen_patches);
  add(to.examples.labels, from.examples.labels);
  add(to.redraws.drawn, from.redraws.drawn);
  add(to.redraws.until, from.redraws.until);
  add(to.given, from.given);
  add(to.teacher_states, from.teacher_states);
  add(to.weights, from.weights);
  add(to.feature_weight, from.feature_weight);
  return all;
}

}  // namespace

BatchGradient::BatchGradient(const Recipe& recipe, const at::Device& device, StepClock& clock)
    : r_(recipe), device_(device), clock_(clock), recorded_(can_be_recorded(recipe, device)) {}

at::Tensor BatchGradient::loss_of(const GradientBatch& batch, at::Tensor& drawn_ahead) {
  const FinetuneOptions& o = r_.options;
  const bool mixed = o.compute.type == ComputeType::kBFloat16;
  ExampleBatch examples = batch.examples;
  if (batch.redraws.drawn.defined() && !batch.given.defined()) {
    clock_.enter("resample");
    const c10::NoGradGuard no_grad;
    const MixedArithmetic arithmetic(mixed, device_);
    examples.inputs = resampled_text(examples.inputs, r_.teacher.answers(examples).logits, batch.redraws);
  }
  Answered answered, teacher;
  clock_.enter("rounding");
  const Model seen = r_.model.seen(batch.dropped);
  {
    const MixedArithmetic arithmetic(mixed, device_);
    if (r_.loss.needs_teacher) {
      clock_.enter("teacher");
      const c10::NoGradGuard no_grad;
      if (batch.teacher_states.defined())
        teacher.logits = r_.teacher.logits_of(batch.teacher_states);
      else
        teacher = r_.teacher.answers(examples);
      if (batch.given.defined()) {
        clock_.enter("resample");
        drawn_ahead = resampled_text(batch.given, teacher.logits, batch.redraws);
      }
    }
    clock_.enter("forward");
    const BatchForward learner(seen, r_.rows, device_,
                               {.inputs = r_.inputs,
                                .kernel_attention = o.kernel_attention,
                                .once = o.gradient_l1 <= 0,
                                .beside = &r_.teacher});
    answered = beside(learner.answers(examples), teacher);
    answered.metrics = r_.metrics;
    answered.feature_weight = batch.feature_weight;
  }
  clock_.enter("loss");
  return r_.weighting.combine(r_.loss.of_examples(answered), batch.weights);
}

BatchGradient::Result BatchGradient::computed(const GradientBatch& batch, const std::vector<at::Tensor>& leaves,
                                              double share) {
  Result result;
  at::Tensor loss = loss_of(batch, result.drawn_ahead) / share;
  if (r_.options.gradient_l1 > 0) loss = loss + r_.options.gradient_l1 * gradient_l1(loss, leaves);
  clock_.enter("backward");
  result.gradients = torch::autograd::grad({loss}, leaves, {}, {}, /*create_graph=*/false, /*allow_unused=*/true);
  result.loss = loss.detach();
  return result;
}

const BatchGradient::Result& BatchGradient::of(const GradientBatch& batch, const std::vector<at::Tensor>& leaves,
                                               double share) {
  if (!recorded_) return result_ = computed(batch, leaves, share);
  if (!recording_) {
    memory_ = batch;
    for (const auto& [memory, given] : tensors_of(memory_, batch)) *memory = given->clone();
    try {
      recording_ = std::make_unique<RecordedWork>(device_, [&] { result_ = computed(memory_, leaves, share); });
    } catch (const Error& e) {
      fail(e.kind(), "finetune: {}; with --time-stages every kernel is started by itself", e.what());
    }
  }
  for (const auto& [memory, given] : tensors_of(memory_, batch)) memory->copy_(*given);
  recording_->replay();
  return result_;
}

}  // namespace vernier
