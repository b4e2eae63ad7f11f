#include "vernier/quantize.h"

#include <ATen/ATen.h>

#include "base/fail.h"

namespace vernier {

std::map<TensorId, Scheme> schemes_of(const Plan& plan, const Model& model) {
  std::map<TensorId, Scheme> schemes;
  for (const PlanEntry& entry : plan.entries) {
    const TensorId id = parse_gguf_name(entry.tensor);
    if (!model.has(id) || !is_matrix(id.role))
      fail(ErrorKind::kInvalidArgument, "quantize: the plan names {}, which {} does not have", entry.tensor,
           model.source().name);
    const at::Tensor& weight = model.weight(id);
    const Scheme scheme = Scheme::parse(entry.scheme);
    if (entry.rows != weight.size(0) || entry.cols != weight.size(1))
      fail(ErrorKind::kInvalidArgument,
           "quantize: {}: planned for [{}, {}], got [{}, {}]; the plan is of another model", entry.tensor, entry.rows,
           entry.cols, weight.size(0), weight.size(1));
    if (!schemes.emplace(id, scheme).second)
      fail(ErrorKind::kInvalidArgument, "quantize: the plan names {} twice", entry.tensor);
  }
  for (const TensorId& id : model.matrices())
    if (!schemes.contains(id))
      fail(ErrorKind::kInvalidArgument, "quantize: the plan leaves out {}; every matrix needs a scheme", gguf_name(id));
  return schemes;
}

QuantizedModel quantize(const Model& model, const Calibration& calibration, const Plan& plan, int threads,
                        ProgressSink* progress) {
  const std::map<TensorId, Scheme> schemes = schemes_of(plan, model);
  check_calibration(calibration, model);
  QuantizedModel result{plan, calibration.model_hash, {}, Model(model.config(), model.source())};
  if (progress != nullptr) progress->begin("quantize", static_cast<int64_t>(schemes.size()), "tensors");
  int64_t done = 0;
  for (const TensorId& id : model.tensors()) {
    const at::Tensor& weight = model.weight(id);
    const auto scheme = schemes.find(id);
    if (scheme == schemes.end()) {  // norms and biases stay as they are
      result.dequantized.set_weight(id, weight.detach().to(at::kFloat));
      continue;
    }
    StoredTensor stored{scheme->second, quantize_bytes(scheme->second, weight, calibration.importance(model, id),
                                                       threads, name_of(id))};
    at::Tensor values = at::empty(weight.sizes(), at::kFloat);
    decode(stored.scheme, stored.bytes, weight.size(0), weight.size(1),
           {values.data_ptr<float>(), static_cast<size_t>(values.numel())});
    result.dequantized.set_weight(id, values);
    result.dequantized.set_stored_scheme(id, stored.scheme);
    result.stored.emplace(id, std::move(stored));
    if (progress != nullptr) progress->update(++done);
  }
  if (progress != nullptr) progress->end();
  return result;
}

}  // namespace vernier
