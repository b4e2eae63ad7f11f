#include "evaluate/score_windows.h"

#include <algorithm>
#include <cmath>

#include "base/fail.h"
#include "base/shared_progress.h"
#include "engine/engine.h"
#include "model/language_model.h"
#include "ops/parallel.h"
#include "vernier/blueprint.h"

namespace vernier {

namespace {

/// Hands over each scored token of a window that the models have run as their sequence `index`.
void score_window(Arena& arena, const PreparedModel* reference,
                  const std::vector<std::unique_ptr<PreparedModel>>& models, const TokenWindow& window, size_t index,
                  const char* stage, const TokenVisitor& visit) {
  const Arena::Scope scope(arena);
  const std::span<const int32_t> tokens(window.tokens);
  const auto logits_of = [&](const PreparedModel& model) { return model.logits(arena, index); };
  std::vector<TileLogits> logits;
  for (const auto& model : models) logits.push_back(logits_of(*model));
  for_each_scored_token(
      arena, tokens.subspan(static_cast<size_t>(window.first_row) + 1), models.front()->config().vocabulary,
      reference != nullptr ? logits_of(*reference) : TileLogits(), logits, [&](const ScoredToken& token) {
        if (!std::isfinite(token.damage.nll) || !std::isfinite(token.damage.kl))
          fail(ErrorKind::kBadFile,
               "{}: {}: the logits of a token are not finite: products of its weights "
               "overflow; the file is damaged, or its configuration is of another model",
               stage, models[token.model]->name());
        visit(token);
      });
}

void check_models(const std::vector<const Model*>& models, const Model* reference, const char* stage) {
  if (models.empty()) fail(ErrorKind::kInvalidArgument, "{}: no model given", stage);
  for (const Model* model : models) require_language_model(model->config(), model->source().name, stage);
  for (const Model* model : models)
    if (const Model* other = reference != nullptr ? reference : models.front();
        model->config().vocabulary != other->config().vocabulary)
      fail(ErrorKind::kInvalidArgument,
           "{}: {} has a vocabulary of {}, {} of {}; KL compares models that share a tokenizer", stage,
           model->source().name, model->config().vocabulary, other->source().name, other->config().vocabulary);
}

/// What `activations` asks for must be what happens: rounding takes schemes to follow, and happens once.
void check_activations(const std::vector<const Model*>& models, const EvaluateOptions& options) {
  if (!options.sites.empty() && options.sites.size() != models.size())
    fail(ErrorKind::kInvalidArgument, "evaluate: rounded sites: expected one per model, {}, got {}", models.size(),
         options.sites.size());
  if (options.activations == Activations::kExact && options.sites.empty()) return;
  if (options.compute.type != ComputeType::kFloat32)
    fail(ErrorKind::kInvalidArgument,
         "evaluate: rounded activations ({}) are computed in float32, got bfloat16; leave out the data type",
         options.sites.empty() ? options.activations.name() : "chosen sites");
  if (options.activations != Activations::kLlamaCpp || !options.sites.empty()) return;
  for (const Model* model : models)
    if (!model->stored_scheme(model->output_matrix()))
      fail(
          ErrorKind::kInvalidArgument,
          "evaluate: activations as llama.cpp rounds them: expected a GGUF file, whose schemes say how, got {}; export "
          "it first",
          model->source().name);
}

double scored_share_of(const EvaluationData& data) {
  double rows = 0, scored = 0;
  for (const TokenWindow& window : data.windows) {
    const auto own = static_cast<double>(window.tokens.size()) - 1;  // the last predicts nothing
    rows += own;
    scored += own - static_cast<double>(window.first_row);
  }
  return rows > 0 ? scored / rows : 0;
}

}  // namespace

int64_t layers_worth_of_scoring(const ModelConfig& config, double scored_share) {
  double layer = 0;  // products a row, about
  for (const TensorId& id : tensors_in(config, 0))
    if (const std::vector<int64_t> shape = shape_of(config, id);
        shape.size() == 2 && id.expert < config.layer(0).feed_forward.experts.used)
      layer += static_cast<double>(shape[0] * shape[1]);
  const double output = static_cast<double>(config.vocabulary * config.hidden) * scored_share;
  return std::max<int64_t>(1, std::llround(output / std::max(layer, 1.0)));
}

void score_windows(const std::vector<const Model*>& models, const Model* reference, const EvaluationData& data,
                   const EvaluateOptions& options, const char* stage, ProgressSink* progress,
                   const std::function<TokenVisitor(size_t window)>& visitor_of) {
  check_models(models, reference, stage);
  check_activations(models, options);
  const std::unique_ptr<Engine> engine = make_engine(options.compute);
  std::vector<std::unique_ptr<PreparedModel>> fast;
  for (size_t m = 0; m < models.size(); ++m) {
    std::shared_ptr<const RoundedSites> sites = options.sites.empty() ? nullptr : options.sites[m];
    if (sites != nullptr && sites->none()) sites = nullptr;  // the very products of an exact model
    const auto same = static_cast<size_t>(std::find(models.begin(), models.end(), models[m]) - models.begin());
    fast.push_back(
        engine->prepare(*models[m], {options.compute.type, data.longest(), options.activations, options.ranges,
                                     std::move(sites), same < m ? fast[same].get() : nullptr}));
  }
  std::unique_ptr<PreparedModel> base;
  if (reference != nullptr) {
    const auto same = static_cast<size_t>(std::find(models.begin(), models.end(), reference) - models.begin());
    base = engine->prepare(*reference, {.type = ComputeType::kFloat32,
                                        .positions = data.longest(),
                                        .beside = same < fast.size() ? fast[same].get() : nullptr});
  }
  const auto count = static_cast<int64_t>(data.windows.size());
  if (progress != nullptr) progress->begin(stage, count, "windows");
  std::vector<Arena> arenas(static_cast<size_t>(engine->workers()));
  int64_t scoring = 0, layers = 0;  // what makes a window
  const double scored_share = scored_share_of(data);
  std::vector<const Model*> all = models;
  if (reference != nullptr) all.push_back(reference);
  for (const Model* model : all) {
    scoring += layers_worth_of_scoring(model->config(), scored_share);
    layers += model->config().depth();
  }
  SharedProgress shared(progress, scoring + layers);
  const size_t batch = sequences_at_once(models.front()->config(), data.longest(), engine->workers());
  for (size_t first = 0; first < data.windows.size(); first += batch) {
    std::vector<Sequence> sequences;
    for (size_t w = first; w < std::min(first + batch, data.windows.size()); ++w) {
      const std::span<const int32_t> tokens(data.windows[w].tokens);
      sequences.push_back({tokens.first(tokens.size() - 1), data.windows[w].first_row});  // the last predicts nothing
    }
    const auto done = [&](int64_t layers) { shared.add(layers); };
    if (base != nullptr) base->run(sequences, done);
    for (const auto& model : fast) model->run(sequences, done);
    parallel_for(static_cast<int64_t>(sequences.size()), engine->workers(), [&](int64_t i, int worker) {
      const size_t w = first + static_cast<size_t>(i);
      score_window(arenas[static_cast<size_t>(worker)], base.get(), fast, data.windows[w], static_cast<size_t>(i),
                   stage, visitor_of(w));
      shared.add(scoring);
    });
  }
  if (progress != nullptr) progress->end();
}

}  // namespace vernier
