#include "finetune/drawn_ahead.h"

#include <ATen/ATen.h>

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
  std::vector<int64_t> all(static_cast<size_t>(texts.size()));
  std::iota(all.begin(), all.end(), int64_t{0});
  inputs_ = batch_of(texts, all, device, longest_rows(texts)).inputs;
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

void DrawnAhead::restore(const at::Tensor& state, const std::string& origin) {
  if (state.sizes() != inputs_.sizes())
    fail(ErrorKind::kBadFile, "{}: drawn_ahead is of {} texts of {} tokens, expected {} of {}", origin, state.size(0),
         state.size(-1), inputs_.size(0), inputs_.size(1));
  inputs_.copy_(state);
}

}  // namespace vernier
