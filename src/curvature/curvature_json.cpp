#include <cmath>

#include "base/json.h"
#include "vernier/curvature.h"

namespace vernier {

namespace {

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(); }

}  // namespace

nlohmann::ordered_json curvature_to_json(const std::vector<GroupCurvature>& groups) {
  Json all = Json::array();
  for (const GroupCurvature& group : groups) {
    Json norms = Json::object();
    for (const auto& [id, norm] : group.gradient_norms) norms[name_of(id)] = number(norm);
    Json json = {{"group", group.group},
                 {"examples", group.examples},
                 {"of", group.of == CurvatureOf::kMatrices ? "matrices" : "all_parameters"},
                 {"loss_nats", number(group.loss)},
                 {"gradient_norm", number(group.gradient_norm)},
                 {"gradient_norms", norms},
                 {"top_eigenvalue", number(group.top_eigenvalue)},
                 {"iterations", group.iterations},
                 {"converged", group.converged},
                 {"trace", number(group.trace.mean)},
                 {"trace_stderr", number(group.trace.standard_error)},
                 {"probes", group.probes}};
    if (group.expansion)
      json["expansion"] = {{"first_nats", number(group.expansion->first)},
                           {"second_nats", number(group.expansion->second)},
                           {"foretold_nats", number(group.expansion->foretold())},
                           {"real_nats", number(group.expansion->real)}};
    all.push_back(std::move(json));
  }
  return all;
}

}  // namespace vernier
