#include "screen/vocabulary_limit.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "ops/parallel.h"
#include "screen/gram.h"
#include "screen/limit_source.h"

namespace vernier {

namespace {

const TensorId kVocabularyMatrix{TensorRole::kTokenEmbedding, -1};
constexpr int kPerOctave = 2;             // mixtures per factor of two of their ratio,
constexpr int kMiddle = 24 * kPerOctave;  // between 1 : 2^24 and 2^24 : 1,
constexpr int kLast = 2 * kMiddle + 2;    // and each alone

/// Share of C in the i-th mixture, 0 to 1.
double mixture(int i) {
  if (i == 0) return 0;
  if (i == kLast) return 1;
  const double ratio = std::exp2(static_cast<double>(i - 1 - kMiddle) / kPerOctave);
  return ratio / (1 + ratio);
}

/// The mixtures on either side, and how much of the upper one.
struct Between {
  int lower = 0;
  double upper_share = 0;
};

Between place_of(double share) {
  if (share <= 0) return {0, 0};
  if (share >= 1) return {kLast - 1, 1};
  const double step = kPerOctave * std::log2(share / (1 - share)) + kMiddle;
  const int lower = static_cast<int>(std::clamp(std::floor(step) + 1, 0.0, kLast - 1.0));
  const double a = mixture(lower), b = mixture(lower + 1);
  return {lower, std::clamp((share - a) / (b - a), 0.0, 1.0)};
}

double trace_of(const at::Tensor& m) { return m.diagonal().sum().item<double>(); }

struct VocabularyRows {
  std::vector<std::pair<double, double>> scale_and_share;  // of the upper mixture
};

}  // namespace

double count_mixtures(const at::Tensor& H, int64_t rank_H, const std::vector<double>& head, const at::Tensor& C,
                      int64_t rank_C, const std::vector<double>& looked_up, double factor, int threads,
                      SpectrumCounter& counter) {
  const double trace_H = trace_of(H), trace_C = trace_of(C);
  std::map<int, VocabularyRows> intervals;
  double all = 0;
  for (size_t v = 0; v < head.size(); ++v) {
    const double a = head[v] * trace_H, b = looked_up[v] * trace_C;
    if (!(factor * (a + b) > 0)) continue;
    all += factor * (a + b);
    const Between place = place_of(b / (a + b));
    intervals[place.lower].scale_and_share.emplace_back(factor * (a + b), place.upper_share);
  }
  std::map<int, std::vector<double>> values;  // eigenvalues of the mixtures that are needed
  for (const auto& [lower, rows] : intervals)
    for (const auto& [scale, share] : rows.scale_and_share) {
      if (share < 1) values[lower];
      if (share > 0) values[lower + 1];
    }
  std::vector<std::pair<int, std::vector<double>*>> wanted;
  for (auto& [i, own] : values) wanted.emplace_back(i, &own);
  parallel_for(static_cast<int64_t>(wanted.size()), threads, [&](int64_t item, int) {
    const c10::NoGradGuard no_grad;
    const auto& [i, own] = wanted[static_cast<size_t>(item)];
    const double share = mixture(i);
    if (share == 0)
      *own = eigenvalues(H / trace_H, rank_H);
    else if (share == 1)
      *own = eigenvalues(C / trace_C, rank_C);
    else
      *own = eigenvalues(H * ((1 - share) / trace_H) + C * (share / trace_C), rank_H + rank_C);
  });
  std::vector<std::pair<int, const VocabularyRows*>> parts;
  for (const auto& [lower, rows] : intervals) parts.emplace_back(lower, &rows);
  std::vector<SpectrumCounter> counters(parts.size());
  parallel_for(static_cast<int64_t>(parts.size()), threads, [&](int64_t item, int) {
    const auto& [lower, rows] = parts[static_cast<size_t>(item)];
    SpectrumCounter& own = counters[static_cast<size_t>(item)];
    for (const auto& [scale, share] : rows->scale_and_share) {
      const std::vector<double>& a = values.at(share < 1 ? lower : lower + 1);
      const std::vector<double>& b = values.at(share > 0 ? lower + 1 : lower);
      for (size_t j = 0; j < a.size(); ++j) {
        const double value = a[j] + share * (b[j] - a[j]);
        if (value > 0) own.add(std::log2(scale * value));
      }
    }
  });
  for (const SpectrumCounter& own : counters) counter.add(own);
  return all;
}

void add_vocabulary_limit(const ScreenPass& pass, const std::vector<at::Tensor>& finals,
                          const std::vector<double>& label_squares, const std::vector<at::Tensor>& gradients) {
  if (pass.limit == nullptr) return;
  const ModelConfig& config = pass.model.config();
  const double tokens = static_cast<double>(pass.limit->tokens);
  const auto vocabulary = static_cast<size_t>(config.vocabulary);
  std::array<GramSum, 2> sums{GramSum(config.hidden), GramSum(config.hidden)};  // of final states, of gradients
  std::vector<double> seen(vocabulary);
  std::vector<at::Tensor> entering;
  for (size_t w = 0; w < finals.size(); ++w) {
    entering.push_back(gradients[w].reshape({-1, config.hidden}));
    sums[0].count(finals[w].size(0));
    sums[1].count(entering[w].size(0));
    const std::vector<int32_t>& read = pass.sums.windows()[w].window->tokens;
    for (size_t t = 0; t + 1 < read.size(); ++t) seen[static_cast<size_t>(read[t])] += 1;
  }
  parallel_for(2 * sums[0].tiles(), pass.threads, [&](int64_t i, int) {
    const c10::NoGradGuard no_grad;
    sums[static_cast<size_t>(i % 2)].add(i / 2, i % 2 == 0 ? finals : entering);
  });
  // H is a mean over final states and C one over what is read; how often a row of either is used is per scored token.
  const at::Tensor H = sums[0].upper() / static_cast<double>(sums[0].rows());
  const at::Tensor C =
      sums[1].upper() * (config.embedding_scale * config.embedding_scale / static_cast<double>(sums[1].rows()));
  std::vector<double> head = label_squares;
  for (double& value : head) value /= tokens;
  for (double& value : seen) value /= tokens;
  const auto add = [&](const TensorId& id, const std::vector<double>& by_head, const std::vector<double>& by_look_up) {
    DamageSpectrum spectrum = empty_spectrum(id, pass.model.weight(id));
    SpectrumCounter counter;
    spectrum.total_nats = count_mixtures(H, sums[0].rows(), by_head, C, sums[1].rows(), by_look_up,
                                         spectrum.variance / 2, pass.threads, counter);
    counter.write(spectrum);
    pass.limit->matrices.push_back(std::move(spectrum));
  };
  if (config.tied_embedding) return add(kVocabularyMatrix, head, seen);
  const std::vector<double> none(vocabulary);
  add(kVocabularyMatrix, none, seen);
  add(pass.model.output_matrix(), head, none);
}

}  // namespace vernier
