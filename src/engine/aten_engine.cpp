#include "engine/aten_engine.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cstring>

#include "base/fail.h"
#include "engine/aten_answers.h"
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

/// [1, time]
at::Tensor ids_of(const ModelConfig& config, std::span<const int32_t> tokens) {
  const auto [least, most] = std::minmax_element(tokens.begin(), tokens.end());
  if (*least < 0 || *most >= config.vocabulary)
    fail(ErrorKind::kInvalidArgument, "forward: ids from {} to {}: expected 0 to {}; wrong tokenizer?", *least, *most,
         config.vocabulary - 1);
  return at::tensor(std::vector<int64_t>(tokens.begin(), tokens.end()), at::kLong).unsqueeze(0);
}

class AtenPrepared : public PreparedModel {
 public:
  AtenPrepared(const Model& model, const AtenModel::Place& place, int64_t positions)
      : device_(place.device), model_(model, positions, place) {}

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

  void watch(std::span<const Sequence> sequences, const SiteWatcher& watcher, const LayersDone& done) override {
    const c10::NoGradGuard no_grad;
    for (size_t i = 0; i < sequences.size(); ++i) {
      const AtenObserver observer = [&](const SiteId& site, const at::Tensor& x) {
        const at::Tensor rows = x.reshape({-1, x.size(-1)}).to(at::kCPU, at::kFloat).contiguous();
        watcher(i, site, {rows.data_ptr<float>(), rows.size(0), rows.size(1), rows.size(1)});
      };
      const at::Tensor ids = on_device(sequences[i].tokens), stream = model_.embed(ids);
      observer({Site::kResidual}, stream);
      observer({Site::kOutputInput}, model_.finish(model_.ops(ids.size(1), &observer, /*watches=*/true), stream, 0, 0));
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
  at::Tensor on_device(std::span<const int32_t> tokens) const { return ids_of(model_.config(), tokens).to(device_); }

  at::Device device_;
  AtenModel model_;
  std::vector<at::Tensor> hidden_;  // of the last run, on the device
};

class AtenAnswers : public AnsweringModel {
 public:
  AtenAnswers(const Model& model, const AtenModel::Place& place, int64_t positions)
      : device_(place.device), model_(model, positions, place) {}

  SumsOfSites site_sums(int, const ModelInput& input) const override {
    SumsOfSites sums;
    const AtenObserver observer = [&](const SiteId& site, const at::Tensor& x) { sums[site] = sums_of(x); };
    answer_of(input, &observer);
    return sums;
  }

  void watch(int, const ModelInput& input, const InputWatcher& watcher) const override {
    const AtenObserver observer = [&](const SiteId& site, const at::Tensor& x) {
      const at::Tensor rows = x.reshape({-1, x.size(-1)}).to(at::kCPU, at::kFloat).contiguous();
      watcher(site, {rows.data_ptr<float>(), rows.size(0), rows.size(1), rows.size(1)});
    };
    answer_of(input, &observer, /*watches=*/true);
  }

  std::vector<float> answer(int, const ModelInput& input) const override {
    return rows_of(answer_of(input, nullptr)).front();
  }

  std::vector<std::vector<float>> answers(int worker, std::span<const ModelInput> inputs) const override {
    const ModelConfig& config = model_.config();
    if (!config.reads_images() || inputs.empty()) return AnsweringModel::answers(worker, inputs);
    const c10::NoGradGuard no_grad;
    const PatchConfig& p = config.patches;
    const at::Tensor pixels =
        at::empty({static_cast<int64_t>(inputs.size()), p.channels, p.image_size, p.image_size}, at::kFloat);
    float* place = pixels.data_ptr<float>();
    for (const ModelInput& input : inputs) {
      check_input(config, input, model_.name());
      place = std::copy(input.pixels.begin(), input.pixels.end(), place);
    }
    return rows_of(image_answers(model_, pixels.to(device_)));
  }

 private:
  static std::vector<std::vector<float>> rows_of(const at::Tensor& answers) {
    const at::Tensor all = answers.to(at::kCPU, at::kFloat).contiguous();
    const float* values = all.data_ptr<float>();
    std::vector<std::vector<float>> rows;
    for (int64_t i = 0; i < all.size(0); ++i, values += all.size(1)) rows.emplace_back(values, values + all.size(1));
    return rows;
  }

  at::Tensor answer_of(const ModelInput& input, const AtenObserver* observer, bool watches = false) const {
    const c10::NoGradGuard no_grad;
    const ModelConfig& config = model_.config();
    check_input(config, input, model_.name());
    const PatchConfig& p = config.patches;
    const bool sees = config.reads_images();
    // A text's rows after the answering one change nothing, its stack being causal; an image's learned rows are the last.
    const int64_t row = sees ? p.count() : answering_row(config, input.tokens);
    const AtenOps ops = model_.ops(sees ? p.rows() : row + 1, observer, watches);
    const at::Tensor stream =
        sees ? model_.embed_images(ops, at::tensor(std::vector<float>(input.pixels.begin(), input.pixels.end()))
                                            .view({1, p.channels, p.image_size, p.image_size})
                                            .to(device_))
             : model_.embed(ids_of(config, input.tokens.first(static_cast<size_t>(row) + 1)).to(device_));
    if (watches) ops.observe({Site::kResidual}, stream);
    const int64_t kept = watches ? 0 : row;
    return model_.read_out(ops, model_.finish(ops, stream, 0, kept), at::full({1}, row - kept, at::kLong).to(device_));
  }

  at::Device device_;
  AtenModel model_;
};

class AtenEngine : public Engine {
 public:
  explicit AtenEngine(at::Device device) : device_(device) {}

  std::string name() const override { return "ATen on " + device_.str(); }
  int workers() const override { return 1; }  // the device is parallel inside
  size_t inputs_at_once(int64_t rows) const override {
    constexpr int64_t kRowsOnDevice = 1 << 15;  // fewer leave most of a GPU idle
    return device_.is_cpu() ? Engine::inputs_at_once(rows)
                            : static_cast<size_t>(std::max<int64_t>(1, kRowsOnDevice / rows));
  }
  std::unique_ptr<PreparedModel> prepare(const Model& model, const PrepareOptions& options) const override {
    require_finite(model);
    return std::make_unique<AtenPrepared>(model, place_of(options), options.positions);
  }
  std::unique_ptr<AnsweringModel> prepare_answers(const Model& model, const PrepareOptions& options) const override {
    require_read_out(model.config(), model.source().name);
    require_finite(model);
    return std::make_unique<AtenAnswers>(model, place_of(options), options.positions);
  }
  std::unique_ptr<Sweep> sweep(const Model& model, const EvaluationData& data, ComputeType type) const override {
    return make_aten_sweep(model, data, device_, type_of(type));
  }
  std::unique_ptr<AnswerSweep> answer_sweep(const Model& model, const VisionInputs& data,
                                            ComputeType type) const override {
    require_read_out(model.config(), model.source().name);
    require_finite(model);
    return make_aten_answer_sweep(model, data, device_, type_of(type));
  }

 private:
  static at::ScalarType type_of(ComputeType type) { return type == ComputeType::kFloat32 ? at::kFloat : at::kBFloat16; }
  /// What it points to is read while the model is made, since all layers are.
  AtenModel::Place place_of(const PrepareOptions& options) const {
    if (options.activations == Activations::kLlamaCpp && options.sites == nullptr)
      fail(ErrorKind::kUnsupported,
           "engine: activations as llama.cpp rounds them: only on the CPU; leave out --device");
    return {device_, type_of(options.type), false, {options.activations, &options.ranges, options.sites}};
  }
  at::Device device_;
};

}  // namespace

std::unique_ptr<Engine> make_aten_engine(at::Device device) { return std::make_unique<AtenEngine>(device); }

}  // namespace vernier
