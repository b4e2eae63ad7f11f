#include "finetune/averaged_weights.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace vernier {

AveragedWeights::AveragedWeights(const std::vector<AdamWParameter>& parameters, double decay) : decay_(decay) {
  for (const AdamWParameter& parameter : parameters) {
    values_.push_back(parameter.value.detach());  // the same memory
    means_.push_back(values_.back().clone());
  }
}

void AveragedWeights::add(int64_t count) {
  const auto steps = static_cast<double>(count);
  const double kept = std::min(decay_, steps / (steps + 10));
  at::_foreach_mul_(means_, kept);
  at::_foreach_add_(means_, values_, 1 - kept);
}

void AveragedWeights::exchange() {
  for (size_t p = 0; p < values_.size(); ++p) {
    const at::Tensor value = values_[p].clone();
    values_[p].copy_(means_[p]);
    means_[p].copy_(value);
  }
}

}  // namespace vernier
