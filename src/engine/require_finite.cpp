#include "engine/require_finite.h"

#include <ATen/ATen.h>

#include <cmath>

#include "base/fail.h"
#include "model/page_budget.h"

namespace vernier {

void require_finite(const Model& model) {
  PageBudget pages(model);
  for (const TensorId& id : model.tensors()) {
    at::Tensor weight = model.weight(id).detach();
    if (weight.numel() == 0) continue;
    if (weight.scalar_type() == at::kHalf) weight = weight.to(at::kFloat);  // libtorch 1.13 has no aminmax of halves
    const auto [least, most] = at::aminmax(weight);                         // NaN wins in both
    if (std::isfinite(least.item<float>()) && std::isfinite(most.item<float>())) {
      pages.read(static_cast<int64_t>(weight.nbytes()));
      continue;
    }
    const int64_t at = at::isfinite(weight).flatten().to(at::kByte).argmin().item<int64_t>(), cols = weight.size(-1);
    fail(ErrorKind::kBadFile,
         "model {}: {}: row {}, column {} is {}; expected finite weights; the file is damaged or its conversion "
         "overflowed: fetch or convert it again",
         model.source().name, name_of(id), at / cols, at % cols, weight.flatten()[at].item<float>());
  }
}

}  // namespace vernier
