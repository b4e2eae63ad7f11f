#include "base/json.h"
#include "base/measured_json.h"
#include "vernier/protect.h"

namespace vernier {

nlohmann::ordered_json protection_to_json(const Protection& p) {
  Json json = {{"kind", "protection"},       {"schema_version", p.schema_version},
               {"model_hash", p.model_hash}, {"scheme", p.scheme},
               {"data", p.data_name},        {"tokens", p.tokens},
               {"base_bytes", p.base_bytes}};
  put_measured(json, "base_kl_nats", p.base_kl);
  json["curves"] = Json::array();
  for (const ProtectionCurve& curve : p.curves) {
    const bool bends = curve.knee_share > 0;
    Json row = {{"unit", curve.unit},
                {"chosen_by", curve.chosen_by},
                {"knee_share", bends ? Json(curve.knee_share) : Json()},
                {"knee_recovery", bends ? Json(curve.knee_recovery) : Json()},
                {"points", Json::array()}};
    for (const ProtectionPoint& point : curve.points) {
      Json one = {{"share", point.share}, {"added_bytes", point.added_bytes}, {"pieces", point.pieces}};
      put_measured(one, "kl_nats", point.kl);
      one["recovery"] = finite_or_null(point.recovery);
      row["points"].push_back(one);
    }
    json["curves"].push_back(row);
  }
  return json;
}

}  // namespace vernier
