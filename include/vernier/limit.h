#pragma once

// How far any format is from the best that could be: the least KL that any code of this model's matrices has at a number
// of bytes, and what separates a plan from it. The matrices are taken as Gaussian sources and damage as second order, by
// Kronecker factors; docs/limit.md says what that leaves out.
// In: the Limit that a screen makes with ScreenOptions::limit. Out: nats per token, as a function of bytes.
//
//   const double nats = limit_kl(limit, matrix_bytes);
//   const LimitShares s = limit_shares(limit, {{"L0.ffn_down", "gguf:q4_k"}}, 0.0178);

#include <cstdint>
#include <nlohmann/json.hpp>
#include <numbers>
#include <string>
#include <vector>

namespace vernier {

/// Steps per factor of two between the levels of a DamageSpectrum. A direction between two levels counts for both so that
/// the mean of its logarithm is kept: rates are exact, and sums of damage at most 0.1% too large.
inline constexpr int kLevelsPerOctave = 8;

/// What leaving out each direction of a matrix would cost: sigma^2 / 2 times an eigenvalue of the output gradients'
/// covariance times one of the inputs', in nats per token.
struct DamageSpectrum {
  std::string tensor;  ///< name_of(TensorId)
  int64_t rows = 0, cols = 0;
  double variance = 0;             ///< sigma^2 of its weights
  double total_nats = 0;           ///< of all directions together
  int64_t first_level = 0;         ///< damage of the first level: 2^(first_level / kLevelsPerOctave) nats
  std::vector<double> directions;  ///< how many there are at each level; those that are missing cost nothing
  int64_t weights() const { return rows * cols; }
};

struct Limit {
  int64_t tokens = 0;  ///< scored ones that the covariances are of
  std::vector<DamageSpectrum> matrices;
};

/// Least KL of any code of all matrices in `bytes`: 0.5 sum min(sigma^2 lambda mu, theta), where theta spends the bits,
/// sum max(0, log2(sigma^2 lambda mu / theta) / 2) (reverse water-filling; Cover and Thomas, Elements of Information
/// Theory, 10.3.3).
/// @param bytes of the matrices alone, without a file's header, norms and biases
double limit_kl(const Limit& limit, double bytes);

/// The same of one matrix by itself.
double limit_kl(const DamageSpectrum& matrix, double bits);

/// How one matrix is stored.
struct CodedMatrix {
  std::string tensor, scheme;
};

/// Factors, each 1 or more but for the last, that lead from the limit to a KL: their product is kl / limit_nats. A factor
/// of four is one bit per weight.
struct LimitShares {
  /// pi e / 6, for high rates. @source Gish and Pierce, Asymptotically efficient quantizing, 1968
  static constexpr double kScalarGrid = std::numbers::pi * std::numbers::e / 6;
  double limit_nats = 0;             ///< at the matrices' bytes
  double scales = 1;                 ///< bytes of scales, mins and zero points, which hold no codes
  double types = 1;                  ///< rates per tensor as they are, not as the optimum has them
  double directions = 1;             ///< every weight of a tensor at the tensor's rate, not each direction at its own
  double scalar_grid = kScalarGrid;  ///< a scalar grid with ideal entropy coding
  double fixed_rate = 1;  ///< as many bits for every code: the best uniform quantizer of a Gaussian (Max 1960)
  /// What remains: the choice of scales and codes. Error feedback makes it smaller than 1, since it takes back part of
  /// `directions`; so do scales that follow the weights.
  double rounding = 1;
  double ratio() const { return scales * types * directions * scalar_grid * fixed_rate * rounding; }
};

/// @param stored every matrix of the limit once
/// @param kl of the model stored so, nats per token
/// @throws Error{kInvalidArgument} for a matrix that is missing or that the limit does not know
LimitShares limit_shares(const Limit& limit, const std::vector<CodedMatrix>& stored, double kl);

/// Mean squared error of the best uniform quantizer with `levels` levels of a Gaussian of variance 1.
/// @source Max, Quantizing for minimum distortion, 1960, table 2
double uniform_quantizer_error(int64_t levels);

nlohmann::ordered_json limit_to_json(const Limit& limit);
/// @throws Error{kBadFile} naming `origin` and the key
Limit limit_from_json(const nlohmann::ordered_json& json, const std::string& origin);
nlohmann::ordered_json limit_shares_to_json(const LimitShares& shares);

}  // namespace vernier
