#include "engine/aten_engine.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cstring>

#include "base/fail.h"
#include "engine/require_finite.h"

namespace vernier {

namespace {

SiteSums sums_of(const at::Tensor& x) {
  const at::Tensor rows = x.reshape({-1, x.size(-1)});
  const auto numbers = [](const at::Tensor& t, auto& out) {
    const at::Tensor cpu = t.to(at::kCPU).contiguous();
    out.resize(static_cast<size_t>(cpu.numel()));
    std::memcpy(out.data(), cpu.data_ptr(), cpu.nbytes());
  };
  SiteSums sums;
  const at::Tensor wide = rows.to(at::kDouble);
  numbers(wide.square().sum(0), sums.squares);
  numbers(wide.abs().sum(0), sums.magnitudes);
  numbers(rows.abs().amax(0).to(at::kFloat), sums.largest);
  return sums;
}

class AtenPrepared : public PreparedModel {
 public:
  AtenPrepared(const Model& model, at::Device device, at::ScalarType type, int64_t positions)
      : device_(device), model_(model, positions, {device, type}) {}

  const std::string& name() const override { return model_.name(); }
  const ModelConfig& config() const override { return model_.config(); }

  void add_site_sums(std::span<const Sequence> sequences, SumsOfSites& total, const LayersDone& done) override {
    const c10::NoGradGuard no_grad;
    for (const Sequence& sequence : sequences) {
      SumsOfSites sums;
      const AtenObserver observer = [&](const SiteId& site, const at::Tensor& x) { sums[site] = sums_of(x); };
      const at::Tensor ids = on_device(sequence.tokens);
      sums[SiteId{Site::kOutputInput}] =
          sums_of(model_.finish(model_.ops(ids.size(1), &observer), model_.embed(ids), 0, 0));
      for (const auto& [site, own] : sums) total[site].add(own);
      if (done) done(config().depth());
    }
  }

  void run(std::span<const Sequence> sequences, const LayersDone& done) override {
    const c10::NoGradGuard no_grad;
    hidden_.clear();
    for (const Sequence& sequence : sequences) {
      const at::Tensor ids = on_device(sequence.tokens);
      hidden_.push_back(model_.finish(model_.ops(ids.size(1)), model_.embed(ids), 0, sequence.first_row)[0]);
      if (done) done(config().depth());
    }
  }

  TileLogits logits(Arena& arena, size_t sequence) const override {
    return [this, &arena, hidden = hidden_[sequence]](int64_t first, int64_t count) {
      const c10::NoGradGuard no_grad;
      const at::Tensor tile = model_.logits_by(model_.head(), hidden.narrow(0, first, count));
      const Slab out = arena.slab(count, tile.size(1));
      at::from_blob(out.data, {count, tile.size(1)}, {out.ld, 1}, at::kFloat).copy_(tile);
      return out;
    };
  }

 private:
  at::Tensor on_device(std::span<const int32_t> tokens) const {
    const auto [least, most] = std::minmax_element(tokens.begin(), tokens.end());
    if (*least < 0 || *most >= model_.config().vocabulary)
      fail(ErrorKind::kInvalidArgument, "forward: ids from {} to {}: expected 0 to {}; wrong tokenizer?", *least, *most,
           model_.config().vocabulary - 1);
    return at::tensor(std::vector<int64_t>(tokens.begin(), tokens.end()), at::kLong).unsqueeze(0).to(device_);
  }

  at::Device device_;
  AtenModel model_;
  std::vector<at::Tensor> hidden_;  // of the last run, on the device
};

class AtenEngine : public Engine {
 public:
  explicit AtenEngine(at::Device device) : device_(device) {}

  std::string name() const override { return "ATen on " + device_.str(); }
  int workers() const override { return 1; }  // the device is parallel inside
  std::unique_ptr<PreparedModel> prepare(const Model& model, const PrepareOptions& options) const override {
    if (options.activations != Activations::kExact)
      fail(ErrorKind::kUnsupported,
           "engine: activations as llama.cpp rounds them: only on the CPU; leave out --device");
    require_finite(model);
    return std::make_unique<AtenPrepared>(model, device_, type_of(options.type), options.positions);
  }
  std::unique_ptr<Sweep> sweep(const Model& model, const EvaluationData& data, ComputeType type) const override {
    return make_aten_sweep(model, data, device_, type_of(type));
  }

 private:
  static at::ScalarType type_of(ComputeType type) { return type == ComputeType::kFloat32 ? at::kFloat : at::kBFloat16; }
  at::Device device_;
};

}  // namespace

std::unique_ptr<Engine> make_aten_engine(at::Device device) { return std::make_unique<AtenEngine>(device); }

}  // namespace vernier
