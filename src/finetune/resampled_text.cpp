#include "finetune/resampled_text.h"

#include <ATen/ATen.h>

#include <vector>

#include "finetune/batch_forward.h"
#include "finetune/counter_random.h"

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

}  // namespace vernier
