#include "finetune/resampled_text.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "base/counter_random.h"
#include "finetune/batch_forward.h"
#include "ops/gpu_ops.h"
#include "ops/mixed_arithmetic.h"

namespace vernier {

Redraws redraws_of(int64_t texts, int64_t time, double share, uint64_t seed, int64_t first_draw) {
  const Redraws redraws{at::zeros({texts, time}, at::kBool), at::zeros({texts, time}, at::kFloat)};
  bool* drawn = redraws.drawn.data_ptr<bool>();
  float* until = redraws.until.data_ptr<float>();
  for (int64_t text = 0; text < texts; ++text) {
    const uint64_t own = random_bits(seed, static_cast<uint64_t>(first_draw + text));
    for (int64_t t = 1; t < time; ++t) {
      const auto place = static_cast<uint64_t>(2 * t);
      if (random_share(own, place) >= share) continue;
      drawn[text * time + t] = true;
      until[text * time + t] = static_cast<float>(random_share(own, place + 1));
    }
  }
  return redraws;
}

Redraws redraws_of(const TrainingData& data, std::span<const int64_t> examples, int64_t time, double share,
                   uint64_t seed, int64_t first_draw) {
  const Redraws redraws = redraws_of(static_cast<int64_t>(examples.size()), time, share, seed, first_draw);
  bool* drawn = redraws.drawn.data_ptr<bool>();
  for (size_t i = 0; i < examples.size(); ++i, drawn += time) {
    const auto example = static_cast<size_t>(examples[i]);
    if (!data.self_written.empty() && data.self_written[example]) std::fill_n(drawn, time, false);
    if (data.piece_starts.empty()) continue;
    for (const int32_t start : data.piece_starts[example])
      if (start < time) drawn[start] = false;
  }
  return redraws;
}

at::Tensor resampled_text(const at::Tensor& ids, const at::Tensor& logits, const Redraws& redraws) {
  const int64_t later = ids.size(1) - 1;
  if (later == 0) return ids;
  if (gpu::takes_logits(logits)) return gpu::drawn_tokens(ids, logits, redraws.drawn, redraws.until);
  const at::Tensor sums = logits.narrow(1, 0, later).softmax(-1, at::kFloat).cumsum_(-1);
  const at::Tensor own =
      at::searchsorted(sums, redraws.until.narrow(1, 1, later).unsqueeze(-1).contiguous()).squeeze(-1);
  const at::Tensor after =
      at::where(redraws.drawn.narrow(1, 1, later), own.clamp_max(logits.size(-1) - 1), ids.narrow(1, 1, later));
  return at::cat({ids.narrow(1, 0, 1), after}, 1);
}

TrainingData resampled_windows(const TrainingData& data, const BatchForward& teacher, const at::Device& device,
                               int64_t batch, bool mixed, double share, uint64_t seed) {
  const c10::NoGradGuard no_grad;
  TrainingData changed = data;
  for (int64_t first = 0; first < data.size(); first += batch) {
    std::vector<int64_t> examples(static_cast<size_t>(std::min(batch, data.size() - first)));
    std::iota(examples.begin(), examples.end(), first);
    const ExampleBatch some = batch_of(data, examples, device);
    const MixedArithmetic arithmetic(mixed, device);
    const Redraws drawn = redraws_of(data, examples, some.inputs.size(1), share, seed, first);
    const at::Tensor ids =
        resampled_text(some.inputs, teacher.answers(some).logits, {drawn.drawn.to(device), drawn.until.to(device)})
            .to(at::kCPU)
            .contiguous();
    for (size_t i = 0; i < examples.size(); ++i) {
      std::vector<int32_t>& tokens = changed.windows[static_cast<size_t>(examples[i])].tokens;
      const int64_t* words = ids.data_ptr<int64_t>() + static_cast<int64_t>(i) * ids.size(1);
      for (size_t t = 0; t + 1 < tokens.size(); ++t) tokens[t] = static_cast<int32_t>(words[t]);
    }
  }
  return changed;
}

}  // namespace vernier
