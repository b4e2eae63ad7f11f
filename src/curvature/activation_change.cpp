#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>

#include "base/fail.h"
#include "curvature/loss_surface.h"
#include "vernier/curvature.h"

namespace vernier {

namespace {

struct SquaredNorms {
  double of_change = 0, of_reference = 0;
};

double sum_of_squares(const at::Tensor& x) { return x.to(at::kDouble).square().sum().item<double>(); }

}  // namespace

std::vector<ActivationChange> activation_change(const Model& reference, const Model& quantized,
                                                const LossOfExamples& loss, const ExamplesByGroup& groups,
                                                const CurvatureOptions& options, ProgressSink* progress) {
  require_same_shape(reference, quantized);
  const c10::AutoGradMode off(false);
  const Model before = placed(reference, options, false), after = placed(quantized, options, false);
  const auto at_once = static_cast<size_t>(std::max<int64_t>(loss.at_once, 1));
  if (progress != nullptr) progress->begin("activations", static_cast<int64_t>(groups.size()), "groups");
  std::vector<ActivationChange> all;
  for (const auto& [name, members] : groups) {
    const std::vector<int64_t> examples = some_of(name, members, loss, options);
    std::map<SiteId, SquaredNorms> sums;
    for (size_t first = 0; first < examples.size(); first += at_once) {
      const std::span some = std::span(examples).subspan(first, std::min(at_once, examples.size() - first));
      std::vector<std::pair<SiteId, at::Tensor>> seen;  // in the order of the forward pass, which both models share
      loss.observe(before, some, [&](const SiteId& site, const at::Tensor& x) { seen.emplace_back(site, x); });
      size_t next = 0;
      loss.observe(after, some, [&](const SiteId& site, const at::Tensor& x) {
        const auto& [own, was] = seen.at(next++);
        if (own != site) fail(ErrorKind::kInternal, "activations: {} came where {} did", name_of(site), name_of(own));
        sums[site].of_change += sum_of_squares(x - was);
        sums[site].of_reference += sum_of_squares(was);
      });
    }
    ActivationChange& change = all.emplace_back();
    change.group = name;
    double total = 0;
    for (const auto& [site, sum] : sums) {
      const double relative = sum.of_reference > 0 ? std::sqrt(sum.of_change / sum.of_reference) : 0;
      change.sites[site] = relative;
      total += relative;
      if (site.site == Site::kOutputInput) change.read_out = relative;
    }
    if (!sums.empty()) change.mean = total / static_cast<double>(sums.size());
    if (progress != nullptr) progress->update(static_cast<int64_t>(all.size()));
  }
  if (progress != nullptr) progress->end();
  return all;
}

}  // namespace vernier
