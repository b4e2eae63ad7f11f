#include "evaluate/scores.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <unordered_map>

#include "base/statistics.h"

namespace vernier {

namespace {

/// One column per quantity, one entry per distinct cluster (window or document): copies add to the first of their kind.
struct ClusterSums {
  std::vector<double> tokens, nll, reference_nll, kl, same_top, delta_nll;
  std::vector<double> documents, bytes;  // 0 for windows of running text
  std::unordered_map<int64_t, size_t> row_of;
  int64_t last_cluster = -1;

  void add(const WindowSums& w, const EvaluationData& data, const TokenWindow& window) {
    const auto [it, is_new] = row_of.try_emplace(data.distinct_cluster(window), tokens.size());
    if (is_new)
      for (auto* column : {&tokens, &nll, &reference_nll, &kl, &same_top, &delta_nll, &documents, &bytes})
        column->push_back(0);
    const size_t row = it->second;
    tokens[row] += static_cast<double>(w.tokens);
    nll[row] += w.nll;
    reference_nll[row] += w.reference_nll;
    kl[row] += w.kl;
    same_top[row] += w.same_top;
    delta_nll[row] += w.nll - w.reference_nll;
    if (window.cluster == last_cluster) return;  // a document's windows follow each other
    last_cluster = window.cluster;
    const auto length = data.clusters[static_cast<size_t>(window.cluster)].bytes;
    documents[row] += length > 0 ? 1 : 0;
    bytes[row] += static_cast<double>(length);
  }
};

Scores scores_of(const ClusterSums& s, bool compared) {
  Scores scores;
  const auto per_token = [&](const std::vector<double>& sums) { return ratio_estimate(sums, s.tokens); };
  const auto per_document = [&](const std::vector<double>& sums) { return ratio_estimate(sums, s.documents); };
  const auto bits_per_byte = [&](const std::vector<double>& sums) {
    const Measured nats = ratio_estimate(sums, s.bytes);
    return Measured{nats.mean / std::numbers::ln2, nats.standard_error / std::numbers::ln2};
  };
  for (const double tokens : s.tokens) scores.tokens += static_cast<int64_t>(tokens);
  for (const double bytes : s.bytes) scores.bytes += static_cast<int64_t>(bytes);
  // Documents or not at all: what is per document must not leave out a part of the text.
  if (std::none_of(s.documents.begin(), s.documents.end(), [](double n) { return n == 0; })) {
    for (const double n : s.documents) scores.documents += static_cast<int64_t>(n);
    scores.distinct_documents = static_cast<int64_t>(s.documents.size());
  }
  scores.nll = per_token(s.nll);
  if (scores.documents > 0) {
    scores.nll_per_document = per_document(s.nll);
    scores.nll_bits_per_byte = bits_per_byte(s.nll);
  }
  if (compared) {
    scores.kl = per_token(s.kl);
    scores.same_top = per_token(s.same_top);
    scores.delta_nll = per_token(s.delta_nll);
    scores.reference_nll = per_token(s.reference_nll);
    if (scores.documents > 0) {
      scores.delta_nll_per_document = per_document(s.delta_nll);
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
  for (size_t w = 0; w < windows.size(); ++w) {
    const TokenWindow& window = data.windows[w];
    const std::string& group = data.clusters[static_cast<size_t>(window.cluster)].group;
    all.add(windows[w], data, window);
    if (!group.empty()) groups[group].add(windows[w], data, window);
  }
  evaluation.all = scores_of(all, compared);
  for (const auto& [group, sums] : groups) evaluation.groups[group] = scores_of(sums, compared);
  if (compared) evaluation.tails = tails_of(windows);
  if (!windows.empty() && !windows.front().scores.empty())
    for (WindowSums& window : windows) evaluation.tokens.push_back(std::move(window.scores));
  return evaluation;
}

}  // namespace vernier
