#include "engine/require_finite.h"

#include <ATen/ATen.h>

#include <cmath>

#include "base/fail.h"
#include "model/page_budget.h"

namespace vernier {

void require_finite(const Model& model, const TensorId& id, at::Tensor values) {
  if (values.numel() == 0) return;
  if (values.scalar_type() == at::kHalf) values = values.to(at::kFloat);  // libtorch 1.13 has no aminmax of halves
  const auto [least, most] = at::aminmax(values);                         // NaN wins in both
  if (std::isfinite(least.item<float>()) && std::isfinite(most.item<float>())) return;
  const int64_t at = at::isfinite(values).flatten().to(at::kByte).argmin().item<int64_t>(), cols = values.size(-1);
  fail(ErrorKind::kBadFile,
       "model {}: {}: row {}, column {} is {}; expected finite weights; the file is damaged or its conversion "
       "overflowed: fetch or convert it again",
       model.source().name, name_of(id), at / cols, at % cols, values.flatten()[at].item<float>());
}

void require_finite(const Model& model) {
  PageBudget pages(model);
  for (const TensorId& id : model.tensors()) {
    const at::Tensor weight = model.weight(id).detach();
    require_finite(model, id, weight);
    pages.read(static_cast<int64_t>(weight.nbytes()));
  }
}

}  // namespace vernier
