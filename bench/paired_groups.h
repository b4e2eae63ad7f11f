#pragma once

// Two quantized models on the same documents, group by group: what benches mean by "worse in Finnish".

#include <fmt/format.h>

#include <map>
#include <string>
#include <vector>

#include "base/statistics.h"
#include "vernier/grouped_answers.h"

namespace vernier {

struct PairedGroup {
  std::string name;
  Measured own, rival;  ///< KL in nats per token, standard errors over documents
  Measured difference;  ///< own less rival, of the same documents
  double low() const { return difference.mean - 1.96 * difference.standard_error; }
  double high() const { return difference.mean + 1.96 * difference.standard_error; }
};

/// @cost a forward pass of the reference and two of each model
inline std::vector<PairedGroup> paired_groups(const Model& reference, const Model& own, const Model& rival,
                                              const EvaluationData& documents, const ComputeOptions& compute) {
  const GroupedAnswers answers = answer_documents(reference, {&own, &rival}, documents, {compute}).front();
  struct Sums {
    std::vector<double> own, rival, difference, tokens;
  };
  std::map<std::string, Sums> by_group;
  for (size_t i = 0; i < static_cast<size_t>(answers.examples.count); ++i) {
    Sums& sums = by_group[answers.examples.attributes.front().values[i]];
    const double tokens = answers.examples.weights[i];
    const double a = tokens * answers.models[0].kl_nats[i], b = tokens * answers.models[1].kl_nats[i];
    sums.own.push_back(a);
    sums.rival.push_back(b);
    sums.difference.push_back(a - b);
    sums.tokens.push_back(tokens);
  }
  std::vector<PairedGroup> groups;
  for (const auto& [name, sums] : by_group)
    groups.push_back({name, ratio_estimate(sums.own, sums.tokens), ratio_estimate(sums.rival, sums.tokens),
                      ratio_estimate(sums.difference, sums.tokens)});
  return groups;
}

/// A line per group, and one that names those whose whole interval says "worse".
inline void print_paired_groups(const std::vector<PairedGroup>& groups, const std::string& what) {
  std::string worse;
  for (const PairedGroup& g : groups) {
    fmt::print("    {:<8} KL {:.5f}, {} {:.5f}: {:+.5f} [{:+.5f}, {:+.5f}]\n", g.name, g.own.mean, what, g.rival.mean,
               g.difference.mean, g.low(), g.high());
    if (g.low() > 0) worse += (worse.empty() ? "" : ", ") + g.name;
  }
  fmt::print("    languages worse than {}: {}\n", what, worse.empty() ? "none" : worse);
}

}  // namespace vernier
