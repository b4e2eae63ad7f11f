#include "evaluate/scores.h"

#include <cmath>
#include <numbers>

#include "base/statistics.h"

namespace vernier {

namespace {

/// One column per quantity, one entry per cluster (window or document).
struct ClusterSums {
  std::vector<double> tokens, nll, reference_nll, kl, same_top, delta_nll;
  std::vector<double> bytes;  // of documents

  void add(const WindowSums& w, bool new_cluster) {
    if (new_cluster)
      for (auto* column : {&tokens, &nll, &reference_nll, &kl, &same_top, &delta_nll}) column->push_back(0);
    tokens.back() += static_cast<double>(w.tokens);
    nll.back() += w.nll;
    reference_nll.back() += w.reference_nll;
    kl.back() += w.kl;
    same_top.back() += w.same_top;
    delta_nll.back() += w.nll - w.reference_nll;
  }
};

Measured measured(const Estimate& estimate) { return {estimate.mean, estimate.standard_error}; }

Scores scores_of(const ClusterSums& s, bool compared) {
  Scores scores;
  const auto per_token = [&](const std::vector<double>& sums) { return measured(ratio_estimate(sums, s.tokens)); };
  const auto bits_per_byte = [&](const std::vector<double>& sums) {
    const Estimate nats = ratio_estimate(sums, s.bytes);
    return Measured{nats.mean / std::numbers::ln2, nats.standard_error / std::numbers::ln2};
  };
  for (const double tokens : s.tokens) scores.tokens += static_cast<int64_t>(tokens);
  for (const double bytes : s.bytes) scores.bytes += static_cast<int64_t>(bytes);
  if (s.bytes.size() == s.tokens.size()) scores.documents = static_cast<int64_t>(s.bytes.size());
  scores.nll = per_token(s.nll);
  if (scores.documents > 0) {
    scores.nll_per_document = measured(mean_estimate(s.nll));
    scores.nll_bits_per_byte = bits_per_byte(s.nll);
  }
  if (compared) {
    scores.kl = per_token(s.kl);
    scores.same_top = per_token(s.same_top);
    scores.delta_nll = per_token(s.delta_nll);
    scores.reference_nll = per_token(s.reference_nll);
    if (scores.documents > 0) {
      scores.delta_nll_per_document = measured(mean_estimate(s.delta_nll));
      scores.reference_nll_bits_per_byte = bits_per_byte(s.reference_nll);
      scores.delta_nll_bits_per_byte = bits_per_byte(s.delta_nll);
    }
  }
  return scores;
}

Tails tails_of(const std::vector<WindowSums>& windows) {
  std::vector<float> kl, delta_p;
  for (const WindowSums& w : windows) {
    kl.insert(kl.end(), w.token_kl.begin(), w.token_kl.end());
    delta_p.insert(delta_p.end(), w.token_delta_p.begin(), w.token_delta_p.end());
  }
  Tails tails;
  double sum = 0, squares = 0;
  for (const float d : delta_p) {
    sum += d;
    squares += static_cast<double>(d) * d;
  }
  const auto n = static_cast<double>(std::max<size_t>(1, delta_p.size()));
  tails.delta_p_mean = sum / n;
  tails.delta_p_rms = std::sqrt(squares / n);
  tails.delta_p_5 = quantile(delta_p, 0.05);
  tails.delta_p_95 = quantile(delta_p, 0.95);
  tails.kl_median = quantile(kl, 0.5);
  tails.kl_99 = quantile(kl, 0.99);
  tails.kl_99_9 = quantile(kl, 0.999);
  tails.kl_max = quantile(kl, 1);
  return tails;
}

}  // namespace

double Scores::perplexity() const { return std::exp(nll.mean); }
double Scores::perplexity_standard_error() const { return perplexity() * nll.standard_error; }

void WindowSums::add(const TokenDamage& damage, bool compared, bool keep, int32_t token) {
  ++tokens;
  nll += damage.nll;
  if (compared) {
    reference_nll += damage.reference_nll;
    kl += damage.kl;
    same_top += damage.same_top ? 1 : 0;
    token_kl.push_back(damage.kl);
    token_delta_p.push_back(std::exp(-damage.nll) - std::exp(-damage.reference_nll));
  }
  if (keep) scores.push_back({token, -damage.nll});
}

Evaluation summarize(const EvaluationData& data, std::vector<WindowSums>& windows, bool compared) {
  Evaluation evaluation;
  evaluation.data_name = data.name;
  evaluation.data_hash = data.hash;
  evaluation.context = data.context;
  evaluation.windows = static_cast<int64_t>(windows.size());
  ClusterSums all;
  std::map<std::string, ClusterSums> groups;
  int64_t last_cluster = -1;
  for (size_t w = 0; w < windows.size(); ++w) {
    const int64_t number = data.windows[w].cluster;
    const Cluster& cluster = data.clusters[static_cast<size_t>(number)];
    const bool fresh = number != last_cluster;  // a document's windows follow each other
    last_cluster = number;
    const auto add = [&](ClusterSums& sums) {
      sums.add(windows[w], fresh);
      if (fresh && cluster.bytes > 0) sums.bytes.push_back(static_cast<double>(cluster.bytes));
    };
    add(all);
    if (!cluster.group.empty()) add(groups[cluster.group]);
  }
  evaluation.all = scores_of(all, compared);
  for (const auto& [group, sums] : groups) evaluation.groups[group] = scores_of(sums, compared);
  if (compared) evaluation.tails = tails_of(windows);
  if (!windows.empty() && !windows.front().scores.empty())
    for (WindowSums& window : windows) evaluation.tokens.push_back(std::move(window.scores));
  return evaluation;
}

}  // namespace vernier
