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
  sums.rows = rows.size(0);
  return sums;
}

class AtenPrepared : public PreparedModel {
 public:
  AtenPrepared(const Model& model, at::Device device, at::ScalarType type, int64_t positions)
      : device_(device), model_(model, positions, {device, type}) {}

  const std::string& name() const override { return model_.name(); }
  const ModelConfig& config() const override { return model_.config(); }

  SumsOfSites site_sums(int, const ModelInput& input) const override {
    const c10::NoGradGuard no_grad;
    SumsOfSites sums;
    const AtenObserver observer = [&](const SiteId& site, const at::Tensor& x) { sums[site] = sums_of(x); };
    if (config().read_out.row != ReadOutConfig::Row::kEvery) {
      answer_of(input, &observer);
      return sums;
    }
    check_input(config(), input, name());
    const at::Tensor ids = on_device(input.tokens);
    sums[SiteId{Site::kOutputInput}] =
        sums_of(model_.finish(model_.ops(ids.size(1), &observer), model_.embed(ids), 0, 0));
    return sums;
  }

  std::vector<float> answer(int, const ModelInput& input) const override {
    const c10::NoGradGuard no_grad;
    require_read_out(config(), name());
    const at::Tensor out = answer_of(input, nullptr)[0].to(at::kCPU, at::kFloat).contiguous();
    return {out.data_ptr<float>(), out.data_ptr<float>() + out.numel()};
  }

  TileLogits logits(Arena& arena, std::span<const int32_t> tokens, int64_t first_row) const override {
    const c10::NoGradGuard no_grad;
    const at::Tensor ids = on_device(tokens);
    const at::Tensor hidden = model_.finish(model_.ops(ids.size(1)), model_.embed(ids), 0, first_row)[0];
    return [this, &arena, hidden](int64_t first, int64_t count) {
      const c10::NoGradGuard no_grad;
      const at::Tensor tile = model_.logits_by(model_.head(), hidden.narrow(0, first, count));
      const Slab out = arena.slab(count, tile.size(1));
      at::from_blob(out.data, {count, tile.size(1)}, {out.ld, 1}, at::kFloat).copy_(tile);
      return out;
    };
  }

 private:
  at::Tensor answer_of(const ModelInput& input, const AtenObserver* observer) const {
    check_input(config(), input, name());
    const PatchConfig& p = config().patches;
    const bool sees = config().reads_images();
    // A text's rows after the answering one change nothing, its stack being causal; an image's learned rows are the last.
    const int64_t row = sees ? p.count() : answering_row(config(), input.tokens);
    const AtenOps ops = model_.ops(sees ? p.rows() : row + 1, observer);
    const at::Tensor stream =
        sees ? model_.embed_images(ops, at::tensor(std::vector<float>(input.pixels.begin(), input.pixels.end()))
                                            .view({1, p.channels, p.image_size, p.image_size})
                                            .to(device_))
             : model_.embed(on_device(input.tokens.first(static_cast<size_t>(row) + 1)));
    return model_.read_out(ops, model_.finish(ops, stream, 0, row), at::zeros({1}, at::kLong).to(device_));
  }

  at::Tensor on_device(std::span<const int32_t> tokens) const {
    const auto [least, most] = std::minmax_element(tokens.begin(), tokens.end());
    if (*least < 0 || *most >= model_.config().vocabulary)
      fail(ErrorKind::kInvalidArgument, "forward: ids from {} to {}: expected 0 to {}; wrong tokenizer?", *least, *most,
           model_.config().vocabulary - 1);
    return at::tensor(std::vector<int64_t>(tokens.begin(), tokens.end()), at::kLong).unsqueeze(0).to(device_);
  }

  at::Device device_;
  AtenModel model_;
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
    require_one_stack(model.config(), model.source().name);
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
