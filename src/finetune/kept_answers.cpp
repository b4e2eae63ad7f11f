#include "finetune/kept_answers.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <numeric>

#include "base/fail.h"
#include "finetune/resampled_text.h"
#include "ops/mixed_arithmetic.h"

namespace vernier {

KeptAnswers::KeptAnswers(const TrainingData& texts, const BatchForward& teacher, const at::Device& device,
                         const How& how)
    : texts_(texts), teacher_(teacher), device_(device), how_(how) {
  const int64_t rows = longest_rows(texts), width = teacher.width();
  const at::ScalarType type = how.mixed ? at::kBFloat16 : at::kFloat;
  try {
    inputs_ = at::zeros({texts.size(), rows}, at::TensorOptions(device).dtype(at::kLong));
    states_ = at::zeros({texts.size(), rows, width}, at::TensorOptions(device).dtype(type));
  } catch (const c10::Error&) {
    fail(
        ErrorKind::kUnsupported,
        "finetune: --keep-answers: no room on {} for {:.1f} GB, of {} texts of up to {} tokens; leave it out, or learn "
        "from fewer",
        device.str(), static_cast<double>(texts.size() * rows * width) * (how.mixed ? 2e-9 : 4e-9), texts.size(), rows);
  }
}

void KeptAnswers::make(int64_t pass) {
  if (pass == pass_) return;
  const c10::NoGradGuard no_grad;
  const int64_t rows = inputs_.size(1);
  for (int64_t first = 0; first < texts_.size(); first += how_.batch) {
    std::vector<int64_t> some(static_cast<size_t>(std::min(how_.batch, texts_.size() - first)));
    std::iota(some.begin(), some.end(), first);
    const auto count = static_cast<int64_t>(some.size());
    ExampleBatch batch = batch_of(texts_, some, device_, rows);
    const MixedArithmetic arithmetic(how_.mixed, device_);
    if (how_.resample > 0) {
      const Redraws redraws = redraws_of(texts_, some, rows, how_.resample, how_.seed, pass * texts_.size() + first);
      batch.inputs = resampled_text(batch.inputs, teacher_.answers(batch).logits,
                                    {sent(redraws.drawn, device_), sent(redraws.until, device_)});
    }
    inputs_.narrow(0, first, count).copy_(batch.inputs);
    states_.narrow(0, first, count).copy_(teacher_.states(batch.inputs));
  }
  pass_ = pass;
}

at::Tensor KeptAnswers::index(std::span<const int64_t> examples) const {
  return sent(at::tensor(std::vector<int64_t>(examples.begin(), examples.end()), at::kLong), device_);
}

at::Tensor KeptAnswers::inputs(std::span<const int64_t> examples) const {
  return inputs_.index_select(0, index(examples));
}

at::Tensor KeptAnswers::states(std::span<const int64_t> examples) const {
  return states_.index_select(0, index(examples));
}

}  // namespace vernier
