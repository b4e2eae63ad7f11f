#include "base/json.h"
#include "vernier/plan_front.h"

namespace vernier {

nlohmann::ordered_json front_to_json(const PlanFront& front, const Limit* limit) {
  Json json = {{"kind", "front"}, {"schema_version", 1}, {"target", front.target}, {"points", Json::array()}};
  for (const FrontPoint& point : front.points) {
    std::map<std::string, int64_t> weights;
    for (const PlanEntry& entry : point.plan.entries) weights[entry.scheme] += entry.rows * entry.cols;
    json["points"].push_back({{"bytes", point.bytes},
                              {"bits_per_weight", point.bits_per_weight},
                              {"predicted_kl_nats", point.plan.predicted_kl_nats},
                              {"lower_bound_kl_nats", point.plan.lower_bound_kl_nats},
                              {"price_nats_per_byte", point.plan.price_per_byte},
                              {"weights", weights}});
    if (limit != nullptr)
      json["points"].back()["limit_kl_nats"] = limit_kl(*limit, static_cast<double>(point.plan.tensor_bytes));
  }
  return json;
}

}  // namespace vernier
