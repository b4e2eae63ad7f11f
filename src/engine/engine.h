#pragma once

// How a model is run: what calibrating, diagnosing and evaluating ask of whoever multiplies. Two engines exist: FusedEngine
// (packed weights, one sequence per thread, no gradients) and AtenEngine (plain ATen on any device).
//
//   const std::unique_ptr<Engine> engine = make_engine(options.compute);
//   const std::unique_ptr<PreparedModel> fast = engine->prepare(model, {.positions = data.longest()});
//   fast->run(sequences, {});
//   parallel_for(sequences.size(), engine->workers(), [&](int64_t i, int worker) { fast->logits(arenas[worker], i); });

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/read_out.h"
#include "engine/sweep.h"
#include "ops/scored_tokens.h"
#include "vernier/activation_grid.h"
#include "vernier/compute.h"
#include "vernier/data.h"
#include "vernier/model.h"
#include "vernier/site.h"
#include "vernier/vision_inputs.h"

namespace vernier {

/// Sums over the rows that entered one site. @shape one entry per channel
struct SiteSums {
  std::vector<double> squares, magnitudes;
  std::vector<float> largest;
  int64_t rows = 0;  ///< counted for models that answer for whole inputs

  void resize(size_t channels);
  void add(const SiteSums& other);
};
using SumsOfSites = std::map<SiteId, SiteSums>;

class PreparedModel;

struct PrepareOptions {
  ComputeType type = ComputeType::kFloat32;
  int64_t positions = 0;  ///< of the longest sequence that it will see
  Activations activations = Activations::kExact;
  ActivationRanges ranges = {};                         ///< where activations take them
  std::shared_ptr<const RoundedSites> sites = nullptr;  ///< in place of activations
  const PreparedModel* beside = nullptr;  ///< of the very same model: what stays packed in memory is shared with it
};

/// Token ids, and from which row on the logits are wanted.
struct Sequence {
  std::span<const int32_t> tokens;
  int64_t first_row = 0;
};
/// Sees the rows of a site of one sequence of a pass; from any thread, and several at once for different sequences.
using SiteWatcher = std::function<void(size_t sequence, const SiteId& site, const Slab& rows)>;
/// Sees the rows of a site of one input.
using InputWatcher = std::function<void(const SiteId& site, const Slab& rows)>;
/// So many layers of one sequence are done; from any thread and several at once. What it throws ends the pass.
using LayersDone = std::function<void(int64_t layers)>;

/// A model made ready to be run on many sequences at once: a layer at a time where that saves memory.
class PreparedModel {
 public:
  virtual ~PreparedModel() = default;
  virtual const std::string& name() const = 0;
  virtual const ModelConfig& config() const = 0;
  /// Adds what entered every site, over all tokens of each sequence, in the order of the sequences.
  /// @throws Error{kInvalidArgument} for ids outside the vocabulary
  virtual void add_site_sums(std::span<const Sequence> sequences, SumsOfSites& total, const LayersDone& done) = 0;
  /// Shows every site to `watcher`, also those that only it looks at (is_watched_only), over all tokens of each sequence;
  /// inputs before they are rounded. @throws as add_site_sums
  virtual void watch(std::span<const Sequence> sequences, const SiteWatcher& watcher, const LayersDone& done) = 0;
  /// Runs the sequences up to what the output matrix multiplies; those before are forgotten. @throws as add_site_sums
  virtual void run(std::span<const Sequence> sequences, const LayersDone& done) = 0;
  /// The logits of a sequence of the last run from its first_row on, a tile at a time, in `arena`. From several threads
  /// at once.
  virtual TileLogits logits(Arena& arena, size_t sequence) const = 0;
};

/// A stack that answers for whole inputs, made ready: an image or a text at a time, from several workers at once.
class AnsweringModel {
 public:
  virtual ~AnsweringModel() = default;
  /// What entered every site, over all rows of an input. @throws Error{kInvalidArgument} for ids outside the vocabulary
  /// and images of another size
  virtual SumsOfSites site_sums(int worker, const ModelInput& input) const = 0;
  /// Shows every site of an input to `watcher`, also those that only it looks at (is_watched_only), over all rows, in the
  /// last layer as well (behind it those that the answer is read from); inputs before they are rounded. @throws as site_sums
  virtual void watch(int worker, const ModelInput& input, const InputWatcher& watcher) const = 0;
  /// The logits of its classes, or the unit vector it projects to. @throws as site_sums
  virtual std::vector<float> answer(int worker, const ModelInput& input) const = 0;
  /// Of several at once, which takes less time. How many there are may change the last bits, which inputs does not.
  virtual std::vector<std::vector<float>> answers(int worker, std::span<const ModelInput> inputs) const;
};

/// How many sequences are run at once, so that what flows between layers stays small.
size_t sequences_at_once(const ModelConfig& config, int64_t positions, int workers);

class Engine {
 public:
  virtual ~Engine() = default;
  /// "fused (oneDNN 2.6.3)", "ATen on cuda:0": for doctor and provenance.
  virtual std::string name() const = 0;
  /// How many sequences are in flight.
  virtual int workers() const = 0;
  /// How many inputs of so many rows to give AnsweringModel::answers. Not by the number of threads: the same batches, and
  /// so the same bits, with any.
  virtual size_t inputs_at_once(int64_t rows) const {
    constexpr int64_t kRows = 1024;  // rows of padding are few, and all of them stay in the cache
    return static_cast<size_t>((kRows + rows - 1) / rows);
  }
  /// `model` must outlive it. @throws Error{kBadFile} naming the tensor when a weight is NaN or infinite
  virtual std::unique_ptr<PreparedModel> prepare(const Model& model, const PrepareOptions& options) const = 0;
  /// Of a classifier or of one stack of a model with several. @throws as prepare; Error{kUnsupported} for other models
  virtual std::unique_ptr<AnsweringModel> prepare_answers(const Model& model, const PrepareOptions& options) const = 0;
  /// `data` and `model` must outlive it. @cost one forward pass, and a stream per window in memory
  virtual std::unique_ptr<Sweep> sweep(const Model& model, const EvaluationData& data, ComputeType type) const = 0;
  /// `model`, a classifier or one stack of a model with several, and `data` must outlive it: its images, or the texts of
  /// a stack that reads. @cost as sweep. @throws as prepare_answers
  virtual std::unique_ptr<AnswerSweep> answer_sweep(const Model& model, const VisionInputs& data,
                                                    ComputeType type) const = 0;
};

/// By options.device: "cpu" is the fused engine, "aten" plain ATen on the CPU, any other word a device of libtorch.
/// @throws Error{kInvalidArgument} for a device that libtorch does not have here
std::unique_ptr<Engine> make_engine(const ComputeOptions& options);

}  // namespace vernier
