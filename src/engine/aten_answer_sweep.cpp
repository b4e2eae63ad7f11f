// The isolated sweep of a stack that answers for whole inputs, on any device: inputs of one shape run as a batch.

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <map>

#include "base/fail.h"
#include "engine/aten_engine.h"
#include "engine/changed_block.h"
#include "engine/stack_inputs.h"

namespace vernier {

namespace {

constexpr size_t kInputBatch = 16;  // inputs at once

/// Inputs of one shape, with what the base makes of them. Tensors have the batch in front.
struct InputBatch {
  std::vector<size_t> inputs;
  at::Tensor stream;       // entering the current layer
  at::Tensor final_state;  // normed, of the answering rows
};

/// Those of a text's tokens that are run, as many for all texts of a batch; an image's are all alike.
std::vector<InputBatch> input_batches(const ModelConfig& stack, const VisionInputs& data) {
  std::map<int64_t, std::vector<size_t>> alike;
  for (size_t i = 0; i < static_cast<size_t>(inputs_of_stack(stack, data)); ++i)
    alike[stack.reads_images() ? 0 : answering_row(stack, data.texts[i])].push_back(i);
  std::vector<InputBatch> batches;
  for (const auto& [row, inputs] : alike)
    for (size_t first = 0; first < inputs.size(); first += kInputBatch) {
      const size_t end = std::min(inputs.size(), first + kInputBatch);
      batches.push_back(
          {{inputs.begin() + static_cast<int64_t>(first), inputs.begin() + static_cast<int64_t>(end)}, {}, {}});
    }
  return batches;
}

class AtenAnswerSweep : public AnswerSweep {
 public:
  AtenAnswerSweep(const Model& model, const VisionInputs& data, at::Device device, at::ScalarType type)
      : model_(model),
        data_(data),
        place_{device, type},
        base_(model, longest_text(model.config(), data), place_),
        batches_(input_batches(model.config(), data)) {
    const c10::NoGradGuard no_grad;
    for (InputBatch& batch : batches_) batch.stream = embed(base_, batch);
    answers_ = answers_by([&](InputBatch& batch) {
      batch.final_state = finish(base_, batch.stream, 0);
      return read_out(base_, batch.final_state);
    });
  }

  std::vector<at::Tensor> layer(int layer, const std::vector<Perturbation>& perturbations,
                                const std::function<void()>& on_input) override {
    if (layer != layer_) fail(ErrorKind::kInternal, "sweep: layer {} asked for at layer {}", layer, layer_);
    const c10::NoGradGuard no_grad;
    const bool last = layer + 1 == base_.config().depth();
    std::vector<at::Tensor> answers;
    for (const Perturbation& p : perturbations) {
      const AtenBlock block = changed_block(base_, model_, p, place_);
      answers.push_back(answers_by([&](InputBatch& batch) {
        AtenOps ops = base_.ops(batch.stream.size(1));
        const at::Tensor x =
            run_block(ops, block, batch.stream, last ? answering_rows(base_.config(), batch.stream.size(1)) : 0);
        return read_out(base_, finish(base_, x, layer + 1, batch.stream.size(1)));
      }));
    }
    for (InputBatch& batch : batches_) {
      AtenOps ops = base_.ops(batch.stream.size(1));
      if (!last) batch.stream = run_block(ops, base_.block(layer), batch.stream, 0);
      for (size_t i = 0; i < batch.inputs.size(); ++i)
        if (on_input) on_input();
    }
    ++layer_;
    return answers;
  }

  at::Tensor outside(const Perturbation& p) override {
    const c10::NoGradGuard no_grad;
    const TensorId id = slices_of(base_.config(), p.component).front().tensor;
    const at::Tensor weight = p.weight(id).to(place_.device, place_.type);
    const auto with_bias_of = [&](const AtenStack& stack) { return AtenStack{{weight, stack[0].bias}}; };
    if (id.role == TensorRole::kTokenEmbedding || id.role == TensorRole::kPatchEmbedding)
      return answers_by([&](InputBatch& batch) {
        const AtenOps ops = base_.ops(batch.stream.size(1));
        const at::Tensor stream =
            id.role == TensorRole::kTokenEmbedding
                ? base_.embed_from(weight, ids_of_batch(batch))
                : base_.embed_images_by(with_bias_of(base_.patches()), ops, pixels_of_batch(batch));
        return read_out(base_, finish(base_, stream, 0));
      });
    const bool distilled = id.role == TensorRole::kDistillationClassifier;
    const AtenStack changed = with_bias_of(distilled ? base_.distilled_head() : base_.head());
    return answers_by([&](InputBatch& batch) {
      return base_.read_out_by(distilled ? base_.head() : changed, distilled ? changed : base_.distilled_head(),
                               base_.ops(batch.stream.size(1)), batch.final_state, first_rows(batch.final_state));
    });
  }

  at::Tensor whole_stack(const Model& other) override {
    const c10::NoGradGuard no_grad;
    const AtenModel changed(other, longest_text(base_.config(), data_), place_);
    return answers_by([&](InputBatch& batch) { return read_out(changed, finish(changed, embed(changed, batch), 0)); });
  }

  const at::Tensor& base() const override { return answers_; }

 private:
  at::Tensor ids_of_batch(const InputBatch& batch) const {
    std::vector<at::Tensor> rows;
    for (const size_t i : batch.inputs) {
      const std::span<const int32_t> tokens =
          read_tokens(base_.config(), ModelInput(std::span<const int32_t>(data_.texts[i])));
      rows.push_back(at::tensor(std::vector<int64_t>(tokens.begin(), tokens.end()), at::kLong));
    }
    const at::Tensor ids = at::stack(rows);
    check_ids(model_, ids, 0);
    return ids.to(place_.device);
  }

  at::Tensor pixels_of_batch(const InputBatch& batch) const {
    const PatchConfig& p = base_.config().patches;
    std::vector<at::Tensor> images;
    for (const size_t i : batch.inputs)
      with_input(base_.config(), data_, i, [&](const ModelInput& own) {
        check_input(base_.config(), own, base_.name());
        images.push_back(at::tensor(std::vector<float>(own.pixels.begin(), own.pixels.end()))
                             .view({p.channels, p.image_size, p.image_size}));
      });
    return at::stack(images).to(place_.device);
  }

  at::Tensor embed(const AtenModel& model, const InputBatch& batch) const {
    if (!base_.config().reads_images()) return model.embed(ids_of_batch(batch));
    return model.embed_images(model.ops(base_.config().patches.rows()), pixels_of_batch(batch));
  }

  /// `rows`: of the stream when it entered; 0: those of x.
  at::Tensor finish(const AtenModel& model, const at::Tensor& x, int begin, int64_t rows = 0) const {
    const int64_t time = rows > 0 ? rows : x.size(1);
    return model.finish(model.ops(time), x, begin, answering_rows(base_.config(), time));
  }

  at::Tensor first_rows(const at::Tensor& hidden) const {
    return at::zeros({hidden.size(0)}, at::TensorOptions(hidden.device()).dtype(at::kLong));
  }

  at::Tensor read_out(const AtenModel& model, const at::Tensor& hidden) const {
    return model.read_out(model.ops(hidden.size(1)), hidden, first_rows(hidden));
  }

  /// answers(batch) [batch, width], put in the order of the inputs.
  template <class Fn>
  at::Tensor answers_by(Fn&& answers) {
    at::Tensor all;
    for (InputBatch& batch : batches_) {
      const at::Tensor own = answers(batch).to(at::kCPU, at::kFloat);
      if (!all.defined()) all = at::empty({inputs_of_stack(base_.config(), data_), own.size(1)}, at::kFloat);
      for (size_t i = 0; i < batch.inputs.size(); ++i)
        all[static_cast<int64_t>(batch.inputs[i])].copy_(own[static_cast<int64_t>(i)]);
    }
    return all;
  }

  const Model& model_;
  const VisionInputs& data_;
  AtenModel::Place place_;
  AtenModel base_;
  std::vector<InputBatch> batches_;
  at::Tensor answers_;
  int layer_ = 0;
};

}  // namespace

std::unique_ptr<AnswerSweep> make_aten_answer_sweep(const Model& model, const VisionInputs& data, at::Device device,
                                                    at::ScalarType type) {
  return std::make_unique<AtenAnswerSweep>(model, data, device, type);
}

}  // namespace vernier
