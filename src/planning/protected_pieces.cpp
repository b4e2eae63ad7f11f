#include "planning/protected_pieces.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "base/fail.h"

namespace vernier {

const std::vector<ProtectionRule>& protection_rules() {
  static const std::vector<ProtectionRule> kRules = {
      {"matrix", "magnitude", "mean |w|", ""},
      {"matrix", "activation", "mean |x| of its inputs", "AWQ (arXiv:2306.00978), of whole matrices"},
      {"matrix", "fisher", "foretold KL per added byte", "SqueezeLLM's Fisher information (arXiv:2306.07629)"},
      {"matrix", "exact", "KL of the matrix alone per added byte", "isolated sweep"},
      {"matrix", "random", "any order", ""},
      {"column", "magnitude", "mean |w| of the column", "AWQ's table 1"},
      {"column", "activation", "mean |x|", "AWQ's table 1"},
      {"column", "error", "E[x^2] times the column's squared error, per added byte", "OWQ (arXiv:2306.02272)"},
      {"column", "fisher", "foretold KL of the column per added byte", "SqueezeLLM's Fisher information"},
      {"column", "random", "any order", "AWQ's table 1"},
      {"weight", "magnitude", "|w|", "SqueezeLLM's outliers"},
      {"weight", "activation", "E[x^2] w^2", "Wanda (arXiv:2306.11695)"},
      {"weight", "error", "E[x^2] times its squared error", "SpQR (arXiv:2306.03078), without feedback"},
      {"weight", "fisher", "E[g^2] times its squared error, E[g^2] from the means of its row and column",
       "SqueezeLLM's Fisher information"},
      {"weight", "random", "any order", ""},
      {"feature", "activation", "largest |x| of the site's channel", "LLM.int8() (arXiv:2208.07339)"},
      {"feature", "error", "E[x^2] times the squared errors of all its columns, per added byte", ""},
      {"feature", "fisher", "foretold KL of all its columns per added byte", ""},
      {"feature", "random", "any order", ""},
  };
  return kRules;
}

namespace {

double random_rank(std::mt19937_64& random) { return static_cast<double>(random() >> 11); }

at::Tensor row_of(const std::vector<float>& values) { return at::tensor(values).to(at::kFloat); }

/// By column of a matrix of the layers; undefined for a random order.
at::Tensor column_scores(const ProtectableMatrix& m, const std::string& by) {
  if (by == "magnitude") return m.weight.abs().mean(0);
  if (by == "activation") return row_of(m.channels->mean_abs);
  if (by == "error") return m.error.square().sum(0) * m.mean_square;
  if (by == "fisher") return row_of(m.channels->input_damage.at(0));
  return {};
}

/// By weight; larger ones are protected first.
at::Tensor weight_scores(const ProtectableMatrix& m, const std::string& by, uint64_t draw) {
  if (by == "magnitude") return m.weight.abs();
  if (by == "activation") return m.weight.square() * m.mean_square;
  if (by == "error") return m.error.square() * m.mean_square;
  if (by == "fisher") {
    const at::Tensor input = row_of(m.channels->input_gradient).square(),
                     output = row_of(m.channels->output_gradient).square();
    // Sums over the matrix agree: mean squared gradients of a rank of one.
    const double total = input.sum(at::kDouble).item<double>();
    return m.error.square() * output.unsqueeze(1) * input / std::max(total, 1e-30);
  }
  std::mt19937_64 random(draw);
  at::Tensor scores = at::empty_like(m.weight);
  float* out = scores.data_ptr<float>();
  for (int64_t i = 0; i < scores.numel(); ++i) out[i] = static_cast<float>(random() >> 40);
  return scores;
}

std::vector<ProtectedPiece> whole_matrices(const std::vector<ProtectableMatrix>& matrices, const std::string& by,
                                           std::mt19937_64& random) {
  std::vector<ProtectedPiece> pieces;
  for (size_t i = 0; i < matrices.size(); ++i) {
    const ProtectableMatrix& m = matrices[i];
    if (m.bytes_16bit <= m.bytes) continue;
    const uint64_t bytes = m.bytes_16bit - m.bytes;
    double rank = random_rank(random);
    if (by == "magnitude") rank = m.weight.abs().mean().item<double>();
    if (by == "activation") rank = m.channels == nullptr ? 0 : row_of(m.channels->mean_abs).mean().item<double>();
    if (by == "fisher") rank = m.foretold / static_cast<double>(bytes);
    if (by == "exact") rank = m.exact / static_cast<double>(bytes);
    if (std::isnan(rank)) return {};  // nothing was measured exactly
    pieces.push_back({rank, bytes, {{i}}});
  }
  return pieces;
}

bool per_byte(const std::string& by) { return by == "error" || by == "fisher"; }

std::vector<ProtectedPiece> columns(const std::vector<ProtectableMatrix>& matrices, const std::string& by,
                                    std::mt19937_64& random) {
  std::vector<ProtectedPiece> pieces;
  for (size_t i = 0; i < matrices.size(); ++i) {
    const ProtectableMatrix& m = matrices[i];
    if (m.channels == nullptr) continue;
    const uint64_t bytes = 2 * static_cast<uint64_t>(m.weight.size(0)) + kColumnIndexBytes;
    const at::Tensor scores = column_scores(m, by);
    for (int64_t col = 0; col < m.weight.size(1); ++col) {
      double rank = scores.defined() ? static_cast<double>(scores.data_ptr<float>()[col]) : random_rank(random);
      if (per_byte(by)) rank /= static_cast<double>(bytes);
      pieces.push_back({rank, bytes, {{i, -1, col}}});
    }
  }
  return pieces;
}

/// A channel of a site: the columns of all matrices that read it.
std::vector<ProtectedPiece> features(const Model& model, const std::vector<ProtectableMatrix>& matrices,
                                     const std::string& by, std::mt19937_64& random) {
  std::map<SiteId, std::vector<size_t>> readers;
  for (size_t i = 0; i < matrices.size(); ++i)
    if (matrices[i].channels != nullptr) readers[*model.blueprint().at(matrices[i].id).input].push_back(i);
  std::vector<ProtectedPiece> pieces;
  for (const auto& [site, own] : readers) {
    const int64_t cols = matrices[own[0]].weight.size(1);
    uint64_t bytes = kColumnIndexBytes;
    for (const size_t i : own) bytes += 2 * static_cast<uint64_t>(matrices[i].weight.size(0));
    at::Tensor scores;
    if (by == "activation") scores = row_of(matrices[own[0]].channels->abs_max);
    if (per_byte(by)) {
      scores = at::zeros({cols});
      for (const size_t i : own) scores = scores + column_scores(matrices[i], by);
      scores = scores / static_cast<double>(bytes);
    }
    for (int64_t col = 0; col < cols; ++col) {
      ProtectedPiece piece{
          scores.defined() ? static_cast<double>(scores.data_ptr<float>()[col]) : random_rank(random), bytes, {}};
      for (const size_t i : own) piece.cells.push_back({i, -1, col});
      pieces.push_back(std::move(piece));
    }
  }
  return pieces;
}

/// The largest of every matrix: no more than the budget holds can be among the largest of all.
std::vector<ProtectedPiece> single_weights(const std::vector<ProtectableMatrix>& matrices, const std::string& by,
                                           uint64_t budget, uint64_t draw) {
  const auto most = static_cast<int64_t>(budget / kOutlierBytes);
  std::vector<ProtectedPiece> pieces;
  for (size_t i = 0; i < matrices.size(); ++i) {
    const ProtectableMatrix& m = matrices[i];
    if (m.channels == nullptr) continue;
    const at::Tensor scores = weight_scores(m, by, draw * matrices.size() + i).reshape({-1}).contiguous();
    const auto [values, places] = scores.topk(std::min(most, scores.numel()));
    for (int64_t k = 0; k < values.numel(); ++k) {
      const int64_t place = places.data_ptr<int64_t>()[k];
      pieces.push_back({static_cast<double>(values.data_ptr<float>()[k]),
                        kOutlierBytes,
                        {{i, place / m.weight.size(1), place % m.weight.size(1)}}});
    }
  }
  return pieces;
}

}  // namespace

std::vector<ProtectedPiece> ordered_pieces(const Model& model, const std::vector<ProtectableMatrix>& matrices,
                                           const ProtectionRule& rule, uint64_t budget, uint64_t draw) {
  std::mt19937_64 random(draw);
  std::vector<ProtectedPiece> pieces;
  if (rule.unit == "matrix") pieces = whole_matrices(matrices, rule.chosen_by, random);
  if (rule.unit == "column") pieces = columns(matrices, rule.chosen_by, random);
  if (rule.unit == "feature") pieces = features(model, matrices, rule.chosen_by, random);
  if (rule.unit == "weight") pieces = single_weights(matrices, rule.chosen_by, budget, draw);
  std::ranges::stable_sort(pieces, [](const ProtectedPiece& a, const ProtectedPiece& b) { return a.rank > b.rank; });
  return pieces;
}

}  // namespace vernier
