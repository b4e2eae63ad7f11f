// The isolated sweep on any device: windows of one length run as a batch, everything stays on the device, and only sums
// come back.

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "base/fail.h"
#include "engine/aten_engine.h"
#include "engine/changed_block.h"
#include "engine/logit_damage.h"

namespace vernier {

namespace {

constexpr size_t kWindowBatch = 16;  // windows at once

/// Windows of one shape, with what the base makes of them. Tensors have the batch in front.
struct Batch {
  std::vector<size_t> windows;
  int64_t first_row = 0;
  at::Tensor ids, labels;  // [batch, time]; [batch, scored]
  at::Tensor stream;       // entering the current layer
  at::Tensor final_state;  // normed, of the scored rows
};

std::vector<Batch> batches_of(const EvaluationData& data, at::Device device) {
  std::map<std::pair<size_t, int64_t>, std::vector<size_t>> alike;
  for (size_t w = 0; w < data.windows.size(); ++w)
    alike[{data.windows[w].tokens.size(), data.windows[w].first_row}].push_back(w);
  std::vector<Batch> batches;
  for (const auto& [shape, windows] : alike)
    for (size_t first = 0; first < windows.size(); first += kWindowBatch) {
      Batch batch;
      batch.first_row = shape.second;
      std::vector<at::Tensor> rows;
      for (size_t i = first; i < std::min(windows.size(), first + kWindowBatch); ++i) {
        const std::vector<int32_t>& tokens = data.windows[windows[i]].tokens;
        rows.push_back(at::tensor(std::vector<int64_t>(tokens.begin(), tokens.end()), at::kLong));
        batch.windows.push_back(windows[i]);
      }
      const at::Tensor all = at::stack(rows).to(device);
      const int64_t inputs = all.size(1) - 1;  // the last token predicts nothing that is scored
      batch.ids = all.narrow(1, 0, inputs);
      batch.labels = all.narrow(1, batch.first_row + 1, inputs - batch.first_row);
      batches.push_back(std::move(batch));
    }
  return batches;
}

class AtenSweep : public Sweep {
 public:
  AtenSweep(const Model& model, const EvaluationData& data, at::Device device, at::ScalarType type)
      : model_(model),
        device_(device),
        type_(type),
        windows_(data.windows.size()),
        base_(model, data.longest(), {device, type}),
        batches_(batches_of(data, device)) {
    const c10::NoGradGuard no_grad;
    for (Batch& batch : batches_) {
      batch.stream = base_.embed(batch.ids);
      batch.final_state = base_.finish(base_.ops(batch.ids.size(1)), batch.stream, 0, batch.first_row);
    }
  }

  std::vector<std::vector<DamageSums>> layer(Stack, int layer, const std::vector<Perturbation>& perturbations,
                                             const std::function<void()>& on_window) override {
    if (layer != layer_) fail(ErrorKind::kInternal, "sweep: layer {} asked for at layer {}", layer, layer_);
    const c10::NoGradGuard no_grad;
    const bool last = layer + 1 == base_.config().depth();
    std::vector<std::vector<DamageSums>> damage(perturbations.size(), std::vector<DamageSums>(windows_));
    for (size_t p = 0; p < perturbations.size(); ++p) {
      const AtenBlock block = changed_block(base_, model_, perturbations[p], {device_, type_});
      for (const Batch& batch : batches_) {
        const AtenOps ops = base_.ops(batch.ids.size(1));
        AtenOps here = ops;
        const at::Tensor x = run_block(here, block, batch.stream, last ? batch.first_row : 0);
        compare(batch, base_.head(), base_.finish(ops, x, layer + 1, batch.first_row), damage[p]);
      }
    }
    for (Batch& batch : batches_) {
      AtenOps ops = base_.ops(batch.ids.size(1));
      if (!last) batch.stream = run_block(ops, base_.block(layer), batch.stream, 0);
      for (size_t i = 0; i < batch.windows.size(); ++i)
        if (on_window) on_window();
    }
    ++layer_;
    return damage;
  }

  std::vector<DamageSums> outside(const Perturbation& p) override {
    const c10::NoGradGuard no_grad;
    const bool looks_up = p.component.kind == ComponentKind::kEmbed;
    const TensorId id{looks_up ? TensorRole::kTokenEmbedding : TensorRole::kOutput, -1};
    const at::Tensor weight = p.weight(id).to(device_, type_);
    const AtenStack head = id == model_.output_matrix() ? AtenStack{{weight, {}}} : base_.head();
    std::vector<DamageSums> damage(windows_);
    for (const Batch& batch : batches_) {
      const at::Tensor hidden =
          looks_up ? base_.finish(base_.ops(batch.ids.size(1)), base_.embed_from(weight, batch.ids), 0, batch.first_row)
                   : batch.final_state;
      compare(batch, head, hidden, damage);
    }
    return damage;
  }

  std::vector<DamageSums> whole_model(const Model& other) override {
    const c10::NoGradGuard no_grad;
    std::vector<DamageSums> damage(windows_);
    for (const Batch& batch : batches_) {
      const AtenModel changed(other, batch.ids.size(1), {device_, type_});
      compare(batch, changed.head(),
              changed.finish(changed.ops(batch.ids.size(1)), changed.embed(batch.ids), 0, batch.first_row), damage);
    }
    return damage;
  }

  at::Tensor base_logits(size_t window) override {
    const c10::NoGradGuard no_grad;
    for (const Batch& batch : batches_)
      for (size_t i = 0; i < batch.windows.size(); ++i)
        if (batch.windows[i] == window)
          return base_.logits_by(base_.head(), batch.final_state[static_cast<int64_t>(i)]).to(at::kCPU, at::kFloat);
    fail(ErrorKind::kInternal, "sweep: no window {}", window);
  }

 private:
  void compare(const Batch& batch, const AtenStack& head, const at::Tensor& hidden,
               std::vector<DamageSums>& damage) const {
    constexpr int64_t kRows = 128;
    for (size_t i = 0; i < batch.windows.size(); ++i) {
      DamageSums& sums = damage[batch.windows[i]];
      const auto window = static_cast<int64_t>(i);
      const int64_t rows = batch.labels.size(1);
      for (int64_t first = 0; first < rows; first += kRows) {
        const int64_t count = std::min(kRows, rows - first);
        const at::Tensor labels = batch.labels[window].narrow(0, first, count).unsqueeze(-1);
        const at::Tensor z =
            base_.logits_by(base_.head(), batch.final_state[window].narrow(0, first, count)).to(at::kDouble);
        const at::Tensor y = base_.logits_by(head, hidden[window].narrow(0, first, count)).to(at::kDouble);
        const LogitDamage damage_of = logit_damage(z, y, labels);
        const at::Tensor together =
            at::stack({damage_of.kl.sum(), damage_of.delta_nll.sum(), damage_of.same_top.sum()}).to(at::kCPU);
        sums.tokens += static_cast<double>(count);
        sums.kl += together[0].item<double>();
        sums.delta_nll += together[1].item<double>();
        sums.same_top += together[2].item<double>();
      }
    }
  }

  const Model& model_;
  at::Device device_;
  at::ScalarType type_;
  size_t windows_;
  AtenModel base_;
  std::vector<Batch> batches_;
  int layer_ = 0;
};

}  // namespace

std::unique_ptr<Sweep> make_aten_sweep(const Model& model, const EvaluationData& data, at::Device device,
                                       at::ScalarType type) {
  return std::make_unique<AtenSweep>(model, data, device, type);
}

}  // namespace vernier
