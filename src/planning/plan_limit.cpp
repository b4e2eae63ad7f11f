#include "vernier/planning.h"

namespace vernier {

LimitShares limit_shares(const Limit& limit, const Plan& plan, double kl) {
  std::vector<CodedMatrix> stored;
  for (const PlanEntry& entry : plan.entries) stored.push_back({entry.tensor, entry.scheme});
  return limit_shares(limit, stored, kl);
}

}  // namespace vernier
