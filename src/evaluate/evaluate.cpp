#include "vernier/evaluate.h"

#include <algorithm>
#include <cmath>

#include "base/fail.h"
#include "base/shared_progress.h"
#include "engine/engine.h"
#include "evaluate/scores.h"
#include "model/language_model.h"
#include "ops/parallel.h"
#include "ops/scored_tokens.h"

namespace vernier {

namespace {

/// Runs one window through the reference and the models and hands over each scored token.
void score_window(Arena& arena, const PreparedModel* reference,
                  const std::vector<std::unique_ptr<PreparedModel>>& models, const TokenWindow& window,
                  const std::function<void(const ScoredToken&)>& visit) {
  const Arena::Scope scope(arena);
  const std::span<const int32_t> tokens(window.tokens);
  // The last token predicts nothing that is scored.
  const auto inputs = tokens.first(tokens.size() - 1);
  const auto logits_of = [&](const PreparedModel& model) { return model.logits(arena, inputs, window.first_row); };
  std::vector<TileLogits> logits;
  for (const auto& model : models) logits.push_back(logits_of(*model));
  for_each_scored_token(
      arena, tokens.subspan(static_cast<size_t>(window.first_row) + 1), models.front()->config().vocabulary,
      reference != nullptr ? logits_of(*reference) : TileLogits(), logits, [&](const ScoredToken& token) {
        if (!std::isfinite(token.damage.nll) || !std::isfinite(token.damage.kl))
          fail(ErrorKind::kBadFile,
               "evaluate: {}: the logits of a token are not finite: products of its weights "
               "overflow; the file is damaged, or its configuration is of another model",
               models[token.model]->name());
        visit(token);
      });
}

void check_models(const std::vector<const Model*>& models, const Model* reference) {
  if (models.empty()) fail(ErrorKind::kInvalidArgument, "evaluate: no model given");
  for (const Model* model : models) require_language_model(model->config(), model->source().name, "evaluate");
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
  const std::unique_ptr<Engine> engine = make_engine(options.compute);
  std::vector<std::unique_ptr<PreparedModel>> fast;
  for (const Model* model : models)
    fast.push_back(engine->prepare(*model, {options.compute.type, data.longest(), options.activations}));
  // The reference is measured in float32 whatever the models use: it is what "no damage" means.
  std::unique_ptr<PreparedModel> base;
  if (reference != nullptr) base = engine->prepare(*reference, {ComputeType::kFloat32, data.longest()});
  const auto count = static_cast<int64_t>(data.windows.size());
  if (progress != nullptr) progress->begin("evaluate", count, "windows");
  const std::vector<const Measure*> measures = token_measures(reference != nullptr);
  // One entry per model and window, filled by whoever scores the window and read in order afterwards.
  std::vector<std::vector<WindowSums>> sums(models.size(), std::vector<WindowSums>(data.windows.size()));
  std::vector<Arena> arenas(static_cast<size_t>(engine->workers()));
  SharedProgress shared(progress);
  parallel_for(count, engine->workers(), [&](int64_t w, int worker) {
    const TokenWindow& window = data.windows[static_cast<size_t>(w)];
    TokenOutcomes outcomes(measures, window.scored());
    score_window(arenas[static_cast<size_t>(worker)], base.get(), fast, window, [&](const ScoredToken& token) {
      WindowSums& s = sums[token.model][static_cast<size_t>(w)];
      s.add(outcomes.of(token));
      if (reference != nullptr) s.add_tails(token.damage);
      if (options.keep_tokens) s.scores.push_back({token.label, -token.damage.nll});
    });
    shared.add(1);
  });
  if (progress != nullptr) progress->end();

  std::vector<Evaluation> results;
  for (size_t m = 0; m < models.size(); ++m) {
    Evaluation evaluation = summarize(data, measures, sums[m], reference != nullptr);
    evaluation.model_name = models[m]->source().name;
    evaluation.activations = options.activations;
    results.push_back(std::move(evaluation));
  }
  return results;
}

}  // namespace vernier
