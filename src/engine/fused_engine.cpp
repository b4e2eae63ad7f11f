#include "engine/fused_engine.h"

#include "engine/fused_sweep.h"
#include "ops/kernels.h"

namespace vernier {

namespace {

class FusedPrepared : public PreparedModel {
 public:
  FusedPrepared(const Model& model, const PrepareOptions& options, int workers)
      : model_(model, options.type, options.positions, options.activations), arenas_(static_cast<size_t>(workers)) {}

  const std::string& name() const override { return model_.name(); }
  const ModelConfig& config() const override { return model_.config(); }

  SumsOfSites site_sums(int worker, const ModelInput& input) const override {
    Arena& arena = arenas_[static_cast<size_t>(worker)];
    const Arena::Scope scope(arena);
    SumsOfSites sums;
    const SiteObserver observer = [&](const SiteId& site, const Slab& x) {
      SiteSums& s = sums[site];
      if (s.squares.empty()) s.resize(static_cast<size_t>(x.cols));
      accumulate_columns(x, s.squares.data(), s.magnitudes.data(), s.largest.data());
      s.rows += x.rows;
    };
    if (config().read_out.row == ReadOutConfig::Row::kEvery)
      model_.hidden(arena, input.tokens, 0, &observer);
    else
      model_.answer(arena, input, &observer);
    return sums;
  }

  std::vector<float> answer(int worker, const ModelInput& input) const override {
    Arena& arena = arenas_[static_cast<size_t>(worker)];
    const Arena::Scope scope(arena);
    const Slab out = model_.answer(arena, input);
    return {out.row(0), out.row(0) + out.cols};
  }

  TileLogits logits(Arena& arena, std::span<const int32_t> tokens, int64_t first_row) const override {
    return [this, &arena, hidden = model_.hidden(arena, tokens, first_row)](int64_t first, int64_t count) {
      return model_.logits(arena, hidden.row_range(first, count));
    };
  }

 private:
  FusedModel model_;
  mutable std::vector<Arena> arenas_;  // one per worker
};

class FusedEngine : public Engine {
 public:
  explicit FusedEngine(int threads) : threads_(threads) {}

  std::string name() const override { return "fused, " + matmul_backend(); }
  int workers() const override { return threads_; }
  std::unique_ptr<PreparedModel> prepare(const Model& model, const PrepareOptions& options) const override {
    require_one_stack(model.config(), model.source().name);
    return std::make_unique<FusedPrepared>(model, options, threads_);
  }
  std::unique_ptr<Sweep> sweep(const Model& model, const EvaluationData& data, ComputeType type) const override {
    return std::make_unique<FusedSweep>(model, data, type, threads_);
  }

 private:
  int threads_;
};

}  // namespace

std::unique_ptr<Engine> make_fused_engine(int threads) { return std::make_unique<FusedEngine>(threads); }

}  // namespace vernier
