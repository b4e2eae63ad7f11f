#include "model/requantize.h"

#include <ATen/ATen.h>

#include "vernier/quantize_tensor.h"

namespace vernier {

bool keeps_stored(const Model& model, const TensorId& id, const Scheme& scheme) {
  const StoredMatrix* stored = model.stored(id);
  return stored != nullptr && stored->scheme() == scheme;
}

at::Tensor requantized_values(const Model& model, const TensorId& id, const Scheme& scheme,
                              const std::vector<float>& importance, int threads) {
  if (keeps_stored(model, id, scheme)) return model.weight(id);
  return quantize_values(scheme, model.weight(id), importance, threads, name_of(id));
}

}  // namespace vernier
