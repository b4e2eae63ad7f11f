#include "engine/fused_answer_sweep.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "engine/stack_inputs.h"

namespace vernier {

namespace {

std::vector<int64_t> answering_rows_of(const ModelConfig& stack, const VisionInputs& data) {
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < inputs_of_stack(stack, data); ++i)
    rows.push_back(stack.reads_images() ? stack.patches.count()
                                        : answering_row(stack, data.texts[static_cast<size_t>(i)]));
  return rows;
}

}  // namespace

template <class Fn>
at::Tensor FusedAnswerSweep::answers_by(Fn&& fn) {
  const ReadOutConfig& read_out = model_.config().read_out;
  const int64_t width = read_out.projection > 0 ? read_out.projection : read_out.classes;
  at::Tensor answers = at::empty({static_cast<int64_t>(finals_.size()), width}, at::kFloat);
  suffix_.for_inputs([&](Arena& arena, size_t input) {
    FusedOps ops(arena, suffix_.base().rope());
    const Slab out = fn(ops, input);
    std::copy_n(out.row(0), width, answers.data_ptr<float>() + static_cast<int64_t>(input) * width);
  });
  return answers;
}

FusedAnswerSweep::FusedAnswerSweep(const Model& model, const VisionInputs& data, ComputeType type, int threads)
    : model_(model),
      data_(data),
      positions_(longest_text(model.config(), data)),
      suffix_(model, type, positions_, threads, answering_rows_of(model.config(), data)),
      finals_(static_cast<size_t>(inputs_of_stack(model.config(), data))) {
  const FusedModel& base = suffix_.base();
  suffix_.enter([&](FusedOps& ops, size_t input) {
    return with_input(model_.config(), data_, input, [&](const ModelInput& own) { return base.embed_input(ops, own); });
  });
  answers_ = answers_by([&](FusedOps& ops, size_t input) {
    const Slab stream = suffix_.stream(ops.arena(), input);
    const Slab normed = suffix_.finish_layers(ops, stream, 0, answering_rows(model_.config(), stream.rows));
    finals_[input] = keep_rows(normed);
    return base.read_out(ops, normed);
  });
}

std::vector<at::Tensor> FusedAnswerSweep::layer(int layer, const std::vector<Perturbation>& perturbations,
                                                const std::function<void()>& on_input) {
  std::vector<at::Tensor> answers;
  for (size_t i = 0; i < perturbations.size(); ++i) answers.push_back(at::empty_like(answers_));
  const auto visit = [&](Arena& arena, size_t input, const std::vector<Slab>& hidden) {
    for (size_t i = 0; i < hidden.size(); ++i) {
      const Arena::Scope scope(arena);
      FusedOps ops(arena, suffix_.base().rope());
      const Slab out = suffix_.base().read_out(ops, hidden[i]);
      std::copy_n(out.row(0), out.cols, answers[i].data_ptr<float>() + static_cast<int64_t>(input) * out.cols);
    }
  };
  suffix_.layer(layer, perturbations, visit, on_input);
  return answers;
}

at::Tensor FusedAnswerSweep::outside(const Perturbation& p) {
  const FusedModel& base = suffix_.base();
  const TensorId id = slices_of(model_.config(), p.component).front().tensor;
  const at::Tensor weight = p.weight(id).to(at::kFloat).contiguous();
  const auto from_start = [&](auto&& embed) {
    return answers_by([&](FusedOps& ops, size_t input) {
      const Slab stream =
          with_input(model_.config(), data_, input, [&](const ModelInput& own) { return embed(ops, own); });
      return base.read_out(ops, suffix_.finish_layers(ops, stream, 0, answering_rows(model_.config(), stream.rows)));
    });
  };
  if (id.role == TensorRole::kTokenEmbedding)
    return from_start([&](FusedOps& ops, const ModelInput& own) {
      return base.embed_from(weight, ops.arena(), read_tokens(model_.config(), own));
    });
  const StackedLinear changed = pack_outside(model_, id, weight, base.type());
  if (id.role == TensorRole::kPatchEmbedding)
    return from_start(
        [&](FusedOps& ops, const ModelInput& own) { return base.embed_image_by(changed, ops, own.pixels); });
  const bool distilled = id.role == TensorRole::kDistillationClassifier;
  return answers_by([&](FusedOps& ops, size_t input) {
    return base.read_out_by(distilled ? base.head() : changed, distilled ? changed : base.distilled_head(), ops,
                            suffix_.slab_of(ops.arena(), finals_[input]));
  });
}

at::Tensor FusedAnswerSweep::whole_stack(const Model& other) {
  const FusedModel fast(other, suffix_.base().type(), positions_);
  return answers_by([&](FusedOps& ops, size_t input) {
    return with_input(model_.config(), data_, input,
                      [&](const ModelInput& own) { return fast.answer(ops.arena(), own); });
  });
}

}  // namespace vernier
