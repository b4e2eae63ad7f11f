#include "finetune/drawn_ahead.h"

#include <ATen/ATen.h>
#include <c10/util/StringUtil.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <vector>

#include "base/fail.h"
#include "finetune/batch_forward.h"

namespace vernier {

namespace {

at::Tensor indices(const std::vector<int64_t>& all, const at::Device& device) {
  return sent(at::tensor(all, at::kLong), device);
}

}  // namespace

DrawnAhead::DrawnAhead(const TrainingData& texts, const at::Device& device) {
  constexpr int64_t kAtOnce = 256;
  const int64_t rows = longest_rows(texts);
  try {
    inputs_ = at::zeros({texts.size(), rows}, at::TensorOptions(device).dtype(at::kLong));
  } catch (const c10::Error&) {
    fail(ErrorKind::kUnsupported,
         "finetune: --draw-ahead: no room on {} for {:.1f} GB, of {} texts of up to {} tokens; leave it out, or learn "
         "from fewer",
         device.str(), static_cast<double>(texts.size() * rows) * 8e-9, texts.size(), rows);
  }
  for (int64_t first = 0; first < texts.size(); first += kAtOnce) {
    std::vector<int64_t> some(static_cast<size_t>(std::min(kAtOnce, texts.size() - first)));
    std::iota(some.begin(), some.end(), first);
    inputs_.narrow(0, first, static_cast<int64_t>(some.size())).copy_(batch_of(texts, some, device, rows).inputs);
  }
}

at::Tensor DrawnAhead::inputs(std::span<const int64_t> examples) const {
  return inputs_.index_select(0, indices({examples.begin(), examples.end()}, inputs_.device()));
}

void DrawnAhead::keep(std::span<const int64_t> examples, const at::Tensor& drawn) {
  std::map<int64_t, int64_t> last;  // written twice on a GPU, either could be what stays
  for (size_t i = 0; i < examples.size(); ++i) last[examples[i]] = static_cast<int64_t>(i);
  std::vector<int64_t> to, from;
  for (const auto& [example, row] : last) {
    to.push_back(example);
    from.push_back(row);
  }
  inputs_.index_copy_(0, indices(to, inputs_.device()), drawn.index_select(0, indices(from, inputs_.device())));
}

at::Tensor DrawnAhead::state() const { return inputs_.to(at::kFloat); }

void DrawnAhead::restore(const at::Tensor& state, int64_t vocabulary, const std::string& origin) {
  if (state.sizes() != inputs_.sizes())
    fail(ErrorKind::kBadFile, "{}: drawn_ahead is of shape {}, expected {}: texts and their tokens", origin,
         c10::str(state.sizes()), c10::str(inputs_.sizes()));
  const at::Tensor ids = state.to(at::kLong);
  if (ids.numel() > 0 && (ids.min().item<int64_t>() < 0 || ids.max().item<int64_t>() >= vocabulary))
    fail(ErrorKind::kBadFile, "{}: drawn_ahead holds ids from {} to {}, expected 0 to {}", origin,
         ids.min().item<int64_t>(), ids.max().item<int64_t>(), vocabulary - 1);
  inputs_.copy_(ids);
}

}  // namespace vernier
