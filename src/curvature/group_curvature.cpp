#include <ATen/ATen.h>

#include "curvature/loss_surface.h"
#include "curvature/spectrum.h"
#include "vernier/curvature.h"

namespace vernier {

std::vector<GroupCurvature> group_curvature(const Model& model, const Model* quantized, const LossOfExamples& loss,
                                            const ExamplesByGroup& groups, const CurvatureOptions& options,
                                            ProgressSink* progress) {
  LossSurface surface(model, loss, options);
  std::optional<LossSurface> moved;
  WeightVector change;
  if (quantized != nullptr) {
    require_same_shape(model, *quantized);
    moved.emplace(*quantized, loss, options);
    for (size_t i = 0; i < surface.weights().size(); ++i)
      change.push_back(moved->weights()[i].detach() - surface.weights()[i].detach());
  }
  if (progress != nullptr) progress->begin("curvature", static_cast<int64_t>(groups.size()), "groups");
  std::vector<GroupCurvature> all;
  for (const auto& [name, members] : groups) {
    const std::vector<int64_t> examples = some_of(name, members, loss, options);
    GroupCurvature& found = all.emplace_back();
    found.group = name;
    found.examples = static_cast<int64_t>(examples.size());
    found.of = options.of;
    surface.set_examples(examples);
    const LossSurface::Slope slope = surface.slope();
    found.loss = slope.loss;
    found.gradient_norm = norm(slope.gradient);
    for (size_t i = 0; i < slope.gradient.size(); ++i)
      found.gradient_norms[surface.parameters()[i]] = norm({slope.gradient[i]});
    find_top_eigenvalue(surface, options, found);
    estimate_trace(surface, options, found);
    if (moved) {
      moved->set_examples(examples);
      found.expansion = LossExpansion{dot(slope.gradient, change), dot(change, surface.hessian_times(change)) / 2,
                                      moved->loss() - slope.loss};
    }
    if (progress != nullptr) progress->update(static_cast<int64_t>(all.size()));
  }
  if (progress != nullptr) progress->end();
  return all;
}

}  // namespace vernier
