#include "reliability/token_predictions.h"

#include <algorithm>
#include <cmath>

#include "base/fail.h"
#include "model/language_model.h"
#include "ops/kernels.h"
#include "ops/parallel.h"
#include "ops/scored_tokens.h"

namespace vernier {

namespace {

void add_slopes(StreamedTemperature& sums, std::span<const float> logits, int32_t label) {
  for (size_t node = 0; node < StreamedTemperature::kNodes; ++node) {
    const TiltedMoments at = tilted_moments(logits.data(), static_cast<int64_t>(logits.size()),
                                            static_cast<float>(StreamedTemperature::inverse_temperature(node)));
    sums.add(node, at.mean, at.variance, logits[static_cast<size_t>(label)]);
  }
  sums.count_example();
}

}  // namespace

void append_sayings(TokenSayings& all, const TokenSayings& more) {
  const auto add = [](std::vector<double>& to, const std::vector<double>& from) {
    to.insert(to.end(), from.begin(), from.end());
  };
  add(all.predictions.confidence, more.predictions.confidence);
  add(all.predictions.correct, more.predictions.correct);
  add(all.predictions.loss_nats, more.predictions.loss_nats);
  add(all.predictions.brier, more.predictions.brier);
  for (size_t half = 0; half < 2; ++half) all.halves[half].add(more.halves[half]);
}

size_t half_of(const EvaluationData& data, const TokenWindow& window) {
  return static_cast<size_t>(data.distinct_cluster(window)) % 2;
}

TokenPredictions::TokenPredictions(const std::vector<ReliabilitySubject>& subjects, const ComputeOptions& compute)
    : subjects_(subjects), type_(compute.type), engine_(make_engine(compute)) {
  for (const ReliabilitySubject& subject : subjects) {
    require_language_model(subject.model->config(), subject.name, "reliability");
    const int64_t own = subject.model->config().vocabulary, first = subjects.front().model->config().vocabulary;
    if (own != first)
      fail(ErrorKind::kInvalidArgument,
           "reliability: {} has a vocabulary of {}, {} of {}; expected models that share a tokenizer", subject.name,
           own, subjects.front().name, first);
  }
  arenas_ = std::vector<Arena>(static_cast<size_t>(engine_->workers()));
}

std::vector<TokenSayings> TokenPredictions::on(const EvaluationData& data, size_t begin, size_t end,
                                               const Temperatures* temperatures, SharedProgress& progress) {
  prepare(data.longest());
  std::vector<std::vector<TokenSayings>> by_window(end - begin);
  const size_t batch = sequences_at_once(models_.front()->config(), data.longest(), engine_->workers());
  for (size_t first = begin; first < end; first += batch) {
    const size_t last = std::min(first + batch, end);
    std::vector<Sequence> sequences;
    for (size_t w = first; w < last; ++w) {
      const std::span<const int32_t> tokens(data.windows[w].tokens);
      sequences.push_back({tokens.first(tokens.size() - 1), data.windows[w].first_row});
    }
    for (const auto& model : models_) model->run(sequences, {});
    parallel_for(static_cast<int64_t>(sequences.size()), engine_->workers(), [&](int64_t i, int worker) {
      const size_t w = first + static_cast<size_t>(i);
      by_window[w - begin] =
          of_window(data, data.windows[w], static_cast<size_t>(i), temperatures, arenas_[static_cast<size_t>(worker)]);
      progress.add(1);
    });
  }
  std::vector<TokenSayings> all(models_.size());
  for (const auto& window : by_window)
    for (size_t m = 0; m < all.size(); ++m) append_sayings(all[m], window[m]);
  return all;
}

/// Anew for a longer text: a perturbed one may have more tokens.
void TokenPredictions::prepare(int64_t positions) {
  if (positions <= positions_) return;
  positions_ = positions;
  models_.clear();
  for (const ReliabilitySubject& subject : subjects_)
    models_.push_back(engine_->prepare(*subject.model, {type_, positions, subject.activations, subject.ranges}));
}

std::vector<TokenSayings> TokenPredictions::of_window(const EvaluationData& data, const TokenWindow& window,
                                                      size_t index, const Temperatures* temperatures,
                                                      Arena& arena) const {
  const Arena::Scope scope(arena);
  const size_t half = half_of(data, window);
  std::vector<TileLogits> logits;
  for (const auto& model : models_) logits.push_back(model->logits(arena, index));
  std::vector<TokenSayings> said(models_.size());
  for_each_scored_token(
      arena, std::span<const int32_t>(window.tokens).subspan(static_cast<size_t>(window.first_row) + 1),
      models_.front()->config().vocabulary, {}, logits, [&](const ScoredToken& token) {
        if (!std::isfinite(token.damage.nll))
          fail(ErrorKind::kBadFile, "reliability: {}: the logits of a token are not finite",
               models_[token.model]->name());
        const std::span<const float> own(token.logits, static_cast<size_t>(token.vocabulary));
        TokenSayings& all = said[token.model];
        all.predictions.add(own, token.label, temperatures == nullptr ? 1 : (*temperatures)[token.model][half], false);
        if (temperatures == nullptr) add_slopes(all.halves[half], own, token.label);
      });
  return said;
}

}  // namespace vernier
