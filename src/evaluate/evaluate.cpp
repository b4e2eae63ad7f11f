#include "vernier/evaluate.h"

#include <algorithm>
#include <cmath>

#include "base/fail.h"
#include "evaluate/scores.h"
#include "model/fused_model.h"
#include "ops/distribution.h"
#include "ops/parallel.h"

namespace vernier {

namespace {

/// Runs one window through the reference and the models and hands over each scored token's outcome.
class WindowScorer {
 public:
  WindowScorer(const FusedModel* reference, const std::vector<FusedModel>& models)
      : reference_(reference), models_(models) {}

  /// visit(model index, scored position, damage); without a reference only nll means anything.
  template <class Visit>
  void score(Arena& arena, const TokenWindow& window, Visit&& visit) const {
    const Arena::Scope scope(arena);
    const std::span<const int32_t> tokens(window.tokens);
    // The last token predicts nothing that is scored.
    const auto inputs = tokens.first(tokens.size() - 1);
    std::vector<Slab> hidden;
    for (const FusedModel& model : models_) hidden.push_back(model.hidden(arena, inputs, window.first_row));
    Slab reference_hidden;
    if (reference_ != nullptr) reference_hidden = reference_->hidden(arena, inputs, window.first_row);

    const int64_t rows = window.scored();
    const int64_t tile = logit_tile_rows(models_.front().config().vocabulary);
    for (int64_t first = 0; first < rows; first += tile) {
      const Arena::Scope tile_scope(arena);
      const int64_t count = std::min(tile, rows - first);
      const auto label = [&](int64_t r) { return tokens[static_cast<size_t>(window.first_row + first + r + 1)]; };
      std::optional<ReferenceTile> base;
      if (reference_ != nullptr)
        base.emplace(arena, reference_->logits(arena, reference_hidden.row_range(first, count)));
      for (size_t m = 0; m < models_.size(); ++m) {
        const Arena::Scope logits_scope(arena);
        const Slab logits = models_[m].logits(arena, hidden[m].row_range(first, count));
        for (int64_t r = 0; r < count; ++r) {
          TokenDamage damage;
          if (base)
            damage = base->compare(r, logits.row(r), label(r));
          else
            damage.nll = negative_log_likelihood(logits.row(r), logits.cols, label(r));
          if (!std::isfinite(damage.nll) || !std::isfinite(damage.kl))
            fail(ErrorKind::kBadFile,
                 "evaluate: {}: the logits of a token are not finite: products of its weights overflow; the file is "
                 "damaged, or its configuration is of another model",
                 models_[m].name());
          visit(m, first + r, damage);
        }
      }
    }
  }

 private:
  const FusedModel* reference_;
  const std::vector<FusedModel>& models_;
};

void check_models(const std::vector<const Model*>& models, const Model* reference) {
  if (models.empty()) fail(ErrorKind::kInvalidArgument, "evaluate: no model given");
  for (const Model* model : models)
    if (const Model* other = reference != nullptr ? reference : models.front();
        model->config().vocabulary != other->config().vocabulary)
      fail(ErrorKind::kInvalidArgument,
           "evaluate: {} has a vocabulary of {}, {} of {}; KL compares models that share a tokenizer",
           model->source().name, model->config().vocabulary, other->source().name, other->config().vocabulary);
}

/// What `activations` asks for must be what happens: rounding takes schemes to follow, and happens once.
void check_activations(const std::vector<const Model*>& models, const EvaluateOptions& options) {
  if (options.activations == Activations::kExact) return;
  if (options.compute.type != ComputeType::kFloat32)
    fail(ErrorKind::kInvalidArgument,
         "evaluate: activations as llama.cpp rounds them are computed in float32, got bfloat16; leave out the data "
         "type");
  for (const Model* model : models)
    if (!model->stored_scheme(model->output_matrix()))
      fail(
          ErrorKind::kInvalidArgument,
          "evaluate: activations as llama.cpp rounds them: expected a GGUF file, whose schemes say how, got {}; export "
          "it first",
          model->source().name);
}

}  // namespace

std::vector<Evaluation> evaluate(const std::vector<const Model*>& models, const Model* reference,
                                 const EvaluationData& data, const EvaluateOptions& options, ProgressSink* progress) {
  check_models(models, reference);
  check_activations(models, options);
  const int threads = resolve_threads(options.compute);
  std::vector<FusedModel> fast;
  for (const Model* model : models)
    fast.emplace_back(*model, options.compute.type, data.longest(), options.activations);
  // The reference is measured in float32 whatever the models use: it is what "no damage" means.
  std::optional<FusedModel> base;
  if (reference != nullptr) base.emplace(*reference, ComputeType::kFloat32, data.longest());
  const WindowScorer scorer(base ? &*base : nullptr, fast);

  const auto count = static_cast<int64_t>(data.windows.size());
  if (progress != nullptr) progress->begin("evaluate", count, "windows");
  // One entry per model and window, filled by whoever scores the window and read in order afterwards.
  std::vector<std::vector<WindowSums>> sums(models.size(), std::vector<WindowSums>(data.windows.size()));
  std::vector<Arena> arenas(static_cast<size_t>(threads));
  int64_t done = 0;
  parallel_for(count, threads, [&](int64_t w, int worker) {
    const TokenWindow& window = data.windows[static_cast<size_t>(w)];
    scorer.score(arenas[static_cast<size_t>(worker)], window, [&](size_t m, int64_t row, const TokenDamage& damage) {
      sums[m][static_cast<size_t>(w)].add(damage, reference != nullptr, options.keep_tokens,
                                          window.tokens[static_cast<size_t>(window.first_row + row + 1)]);
    });
#pragma omp critical(vernier_progress)
    if (progress != nullptr) progress->update(++done);
  });
  if (progress != nullptr) progress->end();

  std::vector<Evaluation> results;
  for (size_t m = 0; m < models.size(); ++m) {
    Evaluation evaluation = summarize(data, sums[m], reference != nullptr);
    evaluation.model_name = models[m]->source().name;
    evaluation.activations = options.activations;
    results.push_back(std::move(evaluation));
  }
  return results;
}

}  // namespace vernier
