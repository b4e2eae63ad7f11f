#include "vernier/quantize.h"

#include <ATen/ATen.h>

#include "base/fail.h"
#include "model/requantize.h"

namespace vernier {

std::map<TensorId, Scheme> schemes_of(const Plan& plan, const Model& model) {
  std::map<TensorId, Scheme> schemes;
  for (const PlanEntry& entry : plan.entries) {
    const TensorId id = parse_gguf_name(entry.tensor);
    if (!model.has(id) || !is_matrix(id.role))
      fail(ErrorKind::kInvalidArgument, "quantize: the plan names {}, which {} does not have", entry.tensor,
           model.source().name);
    const std::vector<int64_t> shape = model.shape(id);
    const Scheme scheme = Scheme::parse(entry.scheme);
    if (entry.rows != shape[0] || entry.cols != shape[1])
      fail(ErrorKind::kInvalidArgument,
           "quantize: {}: planned for [{}, {}], got [{}, {}]; the plan is of another model", entry.tensor, entry.rows,
           entry.cols, shape[0], shape[1]);
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
  QuantizedModel result{plan, calibration.model_hash, Model(model.config(), model.source())};
  if (progress != nullptr) progress->begin("quantize", static_cast<int64_t>(schemes.size()), "tensors");
  int64_t done = 0;
  for (const TensorId& id : model.tensors()) {
    const auto scheme = schemes.find(id);
    if (scheme == schemes.end()) {  // norms and biases stay as they are
      result.model.set_weight(id, model.weight(id).detach().to(at::kFloat));
      continue;
    }
    result.model.set_stored(id, requantize(model, id, scheme->second, calibration.importance(model, id), threads));
    if (progress != nullptr) progress->update(++done);
  }
  if (progress != nullptr) progress->end();
  return result;
}

}  // namespace vernier
