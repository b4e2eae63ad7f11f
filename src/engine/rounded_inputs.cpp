#include "engine/rounded_inputs.h"

#include "base/fail.h"

namespace vernier {

InputRounding RoundedInputs::of(const Model& model, const TensorId& id) const {
  if (sites != nullptr) {
    const std::optional<SiteId> fed = model.blueprint().at(id).input;
    const auto found = fed ? sites->inputs.find(*fed) : sites->inputs.end();
    if (found == sites->inputs.end()) return {};
    return std::shared_ptr<const SiteRounding>(sites, &found->second);
  }
  switch (how.kind()) {
    case Activations::Kind::kExact: return {};
    case Activations::Kind::kLlamaCpp: {
      const std::optional<Scheme> scheme = model.stored_scheme(id);
      return scheme ? InputRounding(scheme->llama_cpp_rounding()) : InputRounding();
    }
    case Activations::Kind::kPerToken: return {how.bits(), 0};
    case Activations::Kind::kPerTensor: break;
  }
  const std::optional<SiteId> site = model.blueprint().at(id).input;
  if (!site) return {};  // rows are looked up in it
  const auto range = ranges == nullptr ? ActivationRanges::const_iterator() : ranges->find(*site);
  if (ranges == nullptr || range == ranges->end())
    fail(
        ErrorKind::kInvalidArgument,
        "activations {}: {}: no range of {} was measured; calibrate this model and pass its calibration, or round each "
        "token by its own range",
        how.name(), name_of(id), name_of(*site));
  return {how.bits(), range->second};
}

at::Tensor RoundedInputs::kept_weight(const TensorId& id) const {
  if (sites == nullptr || sites->kept_weights == nullptr) return {};
  const Model& kept = *sites->kept_weights;
  const std::optional<SiteId> fed = kept.blueprint().at(id).input;
  const auto found = fed ? sites->inputs.find(*fed) : sites->inputs.end();
  return found != sites->inputs.end() && found->second.keep_from > 0 ? kept.weight(id) : at::Tensor();
}

BlockCache RoundedInputs::cache_of(int layer) const {
  const auto format = [&](Site site) {
    if (sites == nullptr) return CacheFormat();
    const auto found = sites->caches.find({site, layer});
    return found == sites->caches.end() ? CacheFormat() : found->second;
  };
  return {format(Site::kKeys), format(Site::kValues)};
}

ActivationRanges ranges_of_stack(const ActivationRanges& ranges, Stack stack) {
  ActivationRanges own;
  for (const auto& [site, range] : ranges)
    if (site.stack == stack) own[{site.site, site.layer, site.expert}] = range;
  return own;
}

}  // namespace vernier
