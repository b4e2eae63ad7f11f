#include "engine/fused_engine.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <optional>

#include "engine/fused_answer_sweep.h"
#include "engine/fused_sweep.h"
#include "ops/kernels.h"
#include "ops/parallel.h"

namespace vernier {

namespace {

/// Layer by layer: one packed layer is in memory, and a stream per sequence.
class FusedPrepared : public PreparedModel {
 public:
  FusedPrepared(const Model& model, const PrepareOptions& options, int workers)
      : model_(model),
        options_(options),
        fast_(model, options.type, options.positions, inputs(), FusedModel::Layers::kLeftOut, beside(options)),
        arenas_(static_cast<size_t>(workers)) {}

  const std::string& name() const override { return fast_.name(); }
  const ModelConfig& config() const override { return fast_.config(); }

  void add_site_sums(std::span<const Sequence> sequences, SumsOfSites& total, const LayersDone& done) override {
    // Sequences are summed on their own and then in their order: the same bits with any number of threads.
    std::vector<SumsOfSites> own(sequences.size());
    const auto add_up = [&] {
      for (SumsOfSites& each : own) {
        for (const auto& [site, sums] : each) total[site].add(sums);
        each.clear();
      }
    };
    std::vector<SiteObserver> observers;
    for (SumsOfSites& each : own)
      observers.push_back([&each](const SiteId& site, const Slab& x) {
        SiteSums& s = each[site];
        if (s.squares.empty()) s.resize(static_cast<size_t>(x.cols));
        accumulate_columns(x, s.squares.data(), s.magnitudes.data(), s.largest.data());
      });
    pass(sequences, done, {observers}, add_up);
    add_up();
  }

  void watch(std::span<const Sequence> sequences, const SiteWatcher& watcher, const LayersDone& done) override {
    std::vector<SiteObserver> observers;
    for (size_t i = 0; i < sequences.size(); ++i)
      observers.push_back([&watcher, i](const SiteId& site, const Slab& x) { watcher(i, site, x); });
    pass(sequences, done, {observers, /*watch=*/true}, [] {});
  }

  void run(std::span<const Sequence> sequences, const LayersDone& done) override {
    hidden_ = pass(sequences, done, {}, [] {});
  }

  TileLogits logits(Arena& arena, size_t sequence) const override {
    return [this, &arena, hidden = to_slab(arena, hidden_[sequence])](int64_t first, int64_t count) {
      return fast_.logits(arena, hidden.row_range(first, count));
    };
  }

 private:
  /// Where it multiplies in the same type.
  static const FusedModel* beside(const PrepareOptions& options) {
    const auto* other = dynamic_cast<const FusedPrepared*>(options.beside);
    return other != nullptr && other->fast_.type() == options.type ? &other->fast_ : nullptr;
  }

  /// Who looks on, by sequence; none: nobody.
  struct Observers {
    std::vector<SiteObserver> by_sequence = {};
    bool watch = false;  ///< also what only watchers look at, and every row of the last layer
    const SiteObserver* of(size_t i) const { return by_sequence.empty() ? nullptr : &by_sequence[i]; }
  };

  RoundedInputs inputs() const { return {options_.activations, &options_.ranges, options_.sites}; }

  /// The residual stream of a sequence in memory of its own, padded as a slab: blocks work on it in place.
  struct Stream {
    at::Tensor memory;
    Slab rows;
  };

  static Stream keep(const Slab& x) {
    Stream stream;
    stream.memory = at::zeros({padded_rows(x.rows) + kRowPadding, x.cols}, at::kFloat);
    stream.rows = {stream.memory.data_ptr<float>(), x.rows, x.cols, x.cols};
    for (int64_t r = 0; r < x.rows; ++r) std::copy_n(x.row(r), x.cols, stream.rows.row(r));
    return stream;
  }

  template <class Fn>
  void for_sequences(std::span<const Sequence> sequences, Fn&& fn) {
    parallel_for(static_cast<int64_t>(sequences.size()), static_cast<int>(arenas_.size()), [&](int64_t i, int worker) {
      Arena& arena = arenas_[static_cast<size_t>(worker)];
      const Arena::Scope scope(arena);
      fn(static_cast<size_t>(i), arena);
    });
  }

  /// What the output matrix multiplies, by sequence [rows, hidden]. `after_layer` is called between layers.
  std::vector<at::Tensor> pass(std::span<const Sequence> sequences, const LayersDone& done, const Observers& observers,
                               const std::function<void()>& after_layer) {
    const int depth = config().depth();
    const bool all_rows = options_.sites != nullptr;  // those that share their range, to the last layer's end
    std::vector<Stream> streams(sequences.size());
    const auto show = [&](size_t i, int layer) {
      if (observers.watch) (*observers.of(i))({Site::kResidual, layer}, streams[i].rows);
    };
    for_sequences(sequences, [&](size_t i, Arena& arena) {
      streams[i] = keep(fast_.embed(arena, sequences[i].tokens));
      show(i, -1);
    });
    for (int layer = 0; layer < depth; ++layer) {
      FusedBlock block = pack_block(model_, layer, options_.type, inputs());
      if (sequences.size() > 1) keep_sums(block);
      model_.release_pages();
      for_sequences(sequences, [&](size_t i, Arena& arena) {
        const int64_t first_row = layer + 1 == depth ? sequences[i].first_row : 0;
        FusedOps ops(arena, fast_.rope(), observers.of(i), observers.watch);
        std::optional<RepeatedRows> repeats;
        if (layer == 0 && !fast_.tells_positions_apart()) ops.set_repeats(&repeats.emplace(sequences[i].tokens));
        streams[i].rows = run_block(ops, block, streams[i].rows, all_rows ? 0 : first_row);
        show(i, layer);
        if (all_rows) streams[i].rows = streams[i].rows.rows_from(first_row);
        if (done) done(1);
      });
      after_layer();
    }
    std::vector<at::Tensor> hidden(sequences.size());
    for_sequences(sequences, [&](size_t i, Arena& arena) {
      FusedOps ops(arena, fast_.rope(), observers.of(i));
      hidden[i] = to_tensor(fast_.output_norm(ops, streams[i].rows));
      streams[i] = {};
    });
    return hidden;
  }

  const Model& model_;
  PrepareOptions options_;
  FusedModel fast_;
  std::vector<Arena> arenas_;  // one per worker
  std::vector<at::Tensor> hidden_;
};

/// All layers packed: an input at a time on each worker.
class FusedAnswers : public AnsweringModel {
 public:
  FusedAnswers(const Model& model, const PrepareOptions& options, int workers)
      : fast_(model, options.type, options.positions, {options.activations, &options.ranges, options.sites}),
        rows_(options.sites != nullptr ? FusedModel::AnswerRows::kAll : FusedModel::AnswerRows::kRead),
        arenas_(static_cast<size_t>(workers)) {}

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
    fast_.answer(arena, input, rows_, &observer);
    return sums;
  }

  void watch(int worker, const ModelInput& input, const InputWatcher& watcher) const override {
    Arena& arena = arenas_[static_cast<size_t>(worker)];
    const Arena::Scope scope(arena);
    fast_.answer(arena, input, FusedModel::AnswerRows::kAll, &watcher, /*watches=*/true);
  }

  std::vector<float> answer(int worker, const ModelInput& input) const override {
    Arena& arena = arenas_[static_cast<size_t>(worker)];
    const Arena::Scope scope(arena);
    const Slab out = fast_.answer(arena, input, rows_);
    return {out.row(0), out.row(0) + out.cols};
  }

  std::vector<std::vector<float>> answers(int worker, std::span<const ModelInput> inputs) const override {
    if (!fast_.config().reads_images() || inputs.empty() || rows_ == FusedModel::AnswerRows::kAll)
      return AnsweringModel::answers(worker, inputs);
    Arena& arena = arenas_[static_cast<size_t>(worker)];
    const Arena::Scope scope(arena);
    return fast_.answers(arena, inputs);
  }

 private:
  FusedModel fast_;
  FusedModel::AnswerRows rows_;        // those that share their range, to the last layer's end
  mutable std::vector<Arena> arenas_;  // one per worker
};

class FusedEngine : public Engine {
 public:
  explicit FusedEngine(int threads) : threads_(threads) {}

  std::string name() const override { return "fused, " + matmul_backend(); }
  int workers() const override { return threads_; }
  size_t inputs_at_once(int64_t rows) const override {
    constexpr int64_t kRows = 2048;  // of 32 images of 65 rows none is padding; they go through layers in blocks
    return static_cast<size_t>((kRows + rows - 1) / rows);
  }
  std::unique_ptr<PreparedModel> prepare(const Model& model, const PrepareOptions& options) const override {
    return std::make_unique<FusedPrepared>(model, options, threads_);
  }
  std::unique_ptr<AnsweringModel> prepare_answers(const Model& model, const PrepareOptions& options) const override {
    require_read_out(model.config(), model.source().name);
    return std::make_unique<FusedAnswers>(model, options, threads_);
  }
  std::unique_ptr<Sweep> sweep(const Model& model, const EvaluationData& data, ComputeType type) const override {
    return std::make_unique<FusedSweep>(model, data, type, threads_);
  }
  std::unique_ptr<AnswerSweep> answer_sweep(const Model& model, const VisionInputs& data,
                                            ComputeType type) const override {
    require_read_out(model.config(), model.source().name);
    return std::make_unique<FusedAnswerSweep>(model, data, type, threads_);
  }

 private:
  int threads_;
};

}  // namespace

std::unique_ptr<Engine> make_fused_engine(int threads) { return std::make_unique<FusedEngine>(threads); }

}  // namespace vernier
