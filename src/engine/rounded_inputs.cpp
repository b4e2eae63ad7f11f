#include "engine/rounded_inputs.h"

#include "base/fail.h"

namespace vernier {

InputRounding RoundedInputs::of(const Model& model, const TensorId& id) const {
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

ActivationRanges ranges_of_stack(const ActivationRanges& ranges, Stack stack) {
  ActivationRanges own;
  for (const auto& [site, range] : ranges)
    if (site.stack == stack) own[{site.site, site.layer, site.expert}] = range;
  return own;
}

}  // namespace vernier
