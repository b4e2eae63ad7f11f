#include "finetune/resampled_text.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "base/counter_random.h"
#include "finetune/batch_forward.h"
#include "finetune/mixed_arithmetic.h"

namespace vernier {

at::Tensor resampled_text(const at::Tensor& ids, const at::Tensor& logits, double share, uint64_t seed,
                          int64_t first_draw) {
  const int64_t texts = ids.size(0), time = ids.size(1);
  std::vector<int64_t> places;
  std::vector<float> until;
  for (int64_t text = 0; text < texts; ++text) {
    const uint64_t own = random_bits(seed, static_cast<uint64_t>(first_draw + text));
    for (int64_t t = 1; t < time; ++t) {
      const auto place = static_cast<uint64_t>(2 * t);
      if (random_share(own, place) >= share) continue;
      places.push_back(text * time + t);
      until.push_back(static_cast<float>(random_share(own, place + 1)));
    }
  }
  if (places.empty()) return ids;
  const at::Device device = ids.device();
  const at::Tensor at = sent(at::tensor(places, at::kLong), device);
  const at::Tensor wanted = sent(at::tensor(until, at::kFloat), device).unsqueeze(-1);
  const at::Tensor answers = logits.reshape({texts * time, -1}).index_select(0, at - 1).to(at::kFloat);
  const at::Tensor drawn = (answers.softmax(-1).cumsum(-1) < wanted).sum(-1).clamp_max(logits.size(-1) - 1);
  return ids.reshape(-1).scatter(0, at, drawn).reshape({texts, time});
}

TrainingData resampled_windows(const TrainingData& data, const BatchForward& teacher, const at::Device& device,
                               int64_t batch, bool mixed, double share, uint64_t seed) {
  const c10::NoGradGuard no_grad;
  TrainingData changed = data;
  for (int64_t first = 0; first < data.size(); first += batch) {
    std::vector<int64_t> examples(static_cast<size_t>(std::min(batch, data.size() - first)));
    std::iota(examples.begin(), examples.end(), first);
    const ExampleBatch some = batch_of(data, examples, device);
    const MixedArithmetic arithmetic(mixed);
    const at::Tensor ids =
        resampled_text(some.inputs, teacher.answers(some).logits, share, seed, first).to(at::kCPU).contiguous();
    for (size_t i = 0; i < examples.size(); ++i) {
      std::vector<int32_t>& tokens = changed.windows[static_cast<size_t>(examples[i])].tokens;
      const int64_t* drawn = ids.data_ptr<int64_t>() + static_cast<int64_t>(i) * ids.size(1);
      for (size_t t = 0; t + 1 < tokens.size(); ++t) tokens[t] = static_cast<int32_t>(drawn[t]);
    }
  }
  return changed;
}

}  // namespace vernier
