// What separates a plan from the limit, one step at a time from the limit to the plan.

#include <cmath>
#include <map>

#include "base/fail.h"
#include "scheme/grid.h"
#include "vernier/limit.h"

namespace vernier {

namespace {

struct Coded {
  const DamageSpectrum* matrix = nullptr;
  double bytes = 0;
  double levels = 0;  ///< that a code can have
  double rate = 0;    ///< log2 of them
  double bits() const { return rate * static_cast<double>(matrix->weights()); }
  /// Of rounding every weight alike, to a share `error` of the variance.
  double nats(double error) const { return matrix->total_nats * error; }
};

std::vector<Coded> coded(const Limit& limit, const std::vector<CodedMatrix>& stored) {
  std::map<std::string, const DamageSpectrum*> matrices;
  for (const DamageSpectrum& m : limit.matrices) matrices[m.tensor] = &m;
  std::vector<Coded> all;
  for (const CodedMatrix& own : stored) {
    const auto it = matrices.find(own.tensor);
    if (it == matrices.end())
      fail(ErrorKind::kInvalidArgument, "limit: {} is not in it, or stored twice; is it of this model?", own.tensor);
    const Scheme scheme = Scheme::parse(own.scheme);
    Coded c{it->second, static_cast<double>(scheme.bytes(it->second->rows, it->second->cols)), 0, 0};
    c.rate = grid_of(scheme, c.matrix->rows, c.matrix->cols)->bits_per_code;
    c.levels = std::round(std::exp2(c.rate));  // of a codebook of several weights, as many as one by one would cost
    all.push_back(c);
    matrices.erase(it);
  }
  if (!matrices.empty())
    fail(ErrorKind::kInvalidArgument, "limit: how {} is stored is not said; name all matrices",
         matrices.begin()->first);
  return all;
}

}  // namespace

LimitShares limit_shares(const Limit& limit, const std::vector<CodedMatrix>& stored, double kl) {
  const std::vector<Coded> all = coded(limit, stored);
  double bytes = 0, code_bits = 0, own_rates = 0, alike = 0, fixed = 0;
  for (const Coded& c : all) {
    bytes += c.bytes;
    code_bits += c.bits();
    own_rates += limit_kl(*c.matrix, c.bits());
    alike += c.nats(std::exp2(-2 * c.rate));
    fixed += c.nats(uniform_quantizer_error(static_cast<int64_t>(c.levels)));
  }
  LimitShares shares;
  shares.limit_nats = limit_kl(limit, bytes);
  const double codes_alone = limit_kl(limit, code_bits / 8);
  shares.scales = codes_alone / shares.limit_nats;
  shares.types = own_rates / codes_alone;
  shares.directions = alike / own_rates;
  shares.fixed_rate = fixed / (shares.scalar_grid * alike);
  shares.rounding = kl / fixed;
  return shares;
}

}  // namespace vernier
