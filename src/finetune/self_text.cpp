// Text that a model writes itself, to learn from where there is little (LLM-QAT, arXiv 2305.17888, section 2.1).

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "base/counter_random.h"
#include "base/fail.h"
#include "engine/aten_model.h"
#include "engine/cached_forward.h"
#include "engine/device.h"
#include "finetune/sampling.h"
#include "finetune/training_hash.h"
#include "ops/mixed_arithmetic.h"
#include "vernier/finetune.h"

namespace vernier {

namespace {

/// Windows that are written side by side: as many as keys and values have room for, and fill the device.
int64_t windows_at_once(const ModelConfig& config, int64_t longest, const at::Device& device) {
  const int64_t room = int64_t{device.is_cuda() ? 12 : 1} << 30;
  return std::clamp<int64_t>(room / CachedForward::bytes_per_text(config, longest), 1, device.is_cuda() ? 1024 : 64);
}

/// Per row the token at which the cumulated probabilities pass a random share. @shape shares [rows] -> int64 [rows, 1]
at::Tensor drawn_tokens(const at::Tensor& logits, const at::Tensor& shares) {
  const at::Tensor until = logits.to(at::kDouble).softmax(-1).cumsum(-1);
  return (until < shares.unsqueeze(-1)).sum(-1, /*keepdim=*/true).clamp_max(logits.size(-1) - 1);
}

}  // namespace

TrainingData self_written_text(const Model& model, const TrainingData& beginnings, int64_t count, int64_t kept,
                               const std::string& sampling, uint64_t seed, const ComputeOptions& compute,
                               ProgressSink* progress) {
  if (!model.config().is_language_model())
    fail(ErrorKind::kUnsupported, "finetune: {} writes no text", model.source().name);
  if (count < 1 || kept < 1)
    fail(ErrorKind::kInvalidArgument, "finetune: {} windows that begin with {} tokens: expected at least 1 of each",
         count, kept);
  const c10::NoGradGuard no_grad;
  const at::Device device = device_named(compute.device);
  int64_t longest = 0;
  for (const TokenWindow& window : beginnings.windows)
    longest = std::max(longest, static_cast<int64_t>(window.tokens.size()));
  const AtenModel ready(model, longest, {.device = device});
  const int64_t at_once = windows_at_once(model.config(), longest, device);
  Sampler sampler(find_sampling(sampling), beginnings.group, oversampling(beginnings.groups, {}), seed);

  TrainingData written;
  written.name = beginnings.name + ", written by " + model.source().name;
  written.groups = beginnings.groups;
  if (progress != nullptr) progress->begin("write", count, "windows");
  for (int64_t first = 0; first < count; first += at_once) {
    const std::vector<int64_t> chosen = sampler.draw(first, std::min(at_once, count - first));
    // All as long as the longest window, whatever they begin like, and begun alike: with what the shortest has.
    size_t shortest = static_cast<size_t>(longest);
    for (const int64_t i : chosen)
      shortest = std::min(shortest, beginnings.windows[static_cast<size_t>(i)].tokens.size());
    const auto rows = static_cast<int64_t>(chosen.size()), time = longest;
    const int64_t given = std::min(kept, static_cast<int64_t>(shortest));
    const at::Tensor ids = at::zeros({rows, time}, at::kLong);
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t t = 0; t < given; ++t)
        ids[r][t] =
            beginnings.windows[static_cast<size_t>(chosen[static_cast<size_t>(r)])].tokens[static_cast<size_t>(t)];
    const at::Tensor shares = at::zeros({rows, time}, at::kDouble);
    double* share = shares.data_ptr<double>();
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t t = given; t < time; ++t)
        share[r * time + t] = random_share(seed + 1, static_cast<uint64_t>((first + r) * longest + t));
    const at::Tensor text = ids.to(device), wanted = shares.to(device);
    CachedForward writer(ready, rows, time);
    at::Tensor last = text.narrow(1, 0, given);
    for (int64_t t = given; t < time; ++t) {
      const MixedArithmetic arithmetic(compute.type == ComputeType::kBFloat16, device);
      last = drawn_tokens(writer.next(last), wanted.select(1, t));
      text.narrow(1, t, 1).copy_(last);
    }
    const at::Tensor back = text.to(at::kCPU, at::kInt).contiguous();
    for (int64_t r = 0; r < rows; ++r) {
      const int32_t* tokens = back.data_ptr<int32_t>() + r * time;
      written.windows.push_back({{tokens, tokens + time}, 0, static_cast<int64_t>(written.windows.size())});
      std::vector<int32_t>& starts = written.piece_starts.emplace_back();
      if (!beginnings.piece_starts.empty())
        for (const int32_t start : beginnings.piece_starts[static_cast<size_t>(chosen[static_cast<size_t>(r)])])
          if (start < given) starts.push_back(start);
      written.group.push_back(beginnings.group[static_cast<size_t>(chosen[static_cast<size_t>(r)])]);
    }
    if (progress != nullptr) progress->update(first + rows);
  }
  if (progress != nullptr) progress->end();
  if (beginnings.piece_starts.empty()) written.piece_starts.clear();
  written.self_written.assign(written.windows.size(), true);
  written.hash = training_data_hash(written);
  return written;
}

}  // namespace vernier
