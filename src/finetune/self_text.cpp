// Text that a model writes itself, to learn from where there is little (LLM-QAT, arXiv 2305.17888, section 2.1).

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "base/counter_random.h"
#include "base/fail.h"
#include "engine/aten_model.h"
#include "engine/device.h"
#include "finetune/mixed_arithmetic.h"
#include "finetune/sampling.h"
#include "finetune/training_hash.h"
#include "vernier/finetune.h"

namespace vernier {

namespace {

/// Windows that are written side by side: scores of all heads take memory.
int64_t windows_at_once(const at::Device& device) { return device.is_cuda() ? 256 : 64; }

/// Per row the token at which the cumulated probabilities pass a random share.
at::Tensor drawn_tokens(const at::Tensor& logits, const std::vector<double>& shares) {
  const at::Tensor until = logits.to(at::kDouble).softmax(-1).cumsum(-1);
  const at::Tensor wanted = at::tensor(shares, at::kDouble).to(until.device()).unsqueeze(-1);
  return (until < wanted).sum(-1).clamp_max(logits.size(-1) - 1);
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
  const AtenModel writer(model, longest, {.device = device});
  const int64_t at_once = windows_at_once(device);
  Sampler sampler(find_sampling(sampling), beginnings.group, beginnings.groups.size(), seed);

  TrainingData written;
  written.name = beginnings.name + ", written by " + model.source().name;
  written.groups = beginnings.groups;
  if (progress != nullptr) progress->begin("write", count, "windows");
  for (int64_t first = 0; first < count; first += at_once) {
    const std::vector<int64_t> chosen = sampler.draw(first, std::min(at_once, count - first));
    // All as long as the shortest: of one text the windows are alike but for a group's only one.
    size_t length = static_cast<size_t>(longest);
    for (const int64_t i : chosen) length = std::min(length, beginnings.windows[static_cast<size_t>(i)].tokens.size());
    const auto rows = static_cast<int64_t>(chosen.size()), time = static_cast<int64_t>(length);
    const int64_t given = std::min(kept, time);
    const at::Tensor ids = at::zeros({rows, time}, at::kLong);
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t t = 0; t < given; ++t)
        ids[r][t] =
            beginnings.windows[static_cast<size_t>(chosen[static_cast<size_t>(r)])].tokens[static_cast<size_t>(t)];
    at::Tensor text = ids.to(device);
    for (int64_t t = given; t < time; ++t) {
      const MixedArithmetic arithmetic(compute.type == ComputeType::kBFloat16);
      const at::Tensor hidden = writer.finish(writer.ops(t), writer.embed(text.narrow(1, 0, t)), 0, t - 1);
      std::vector<double> shares;
      for (int64_t r = 0; r < rows; ++r)
        shares.push_back(random_share(seed + 1, static_cast<uint64_t>((first + r) * longest + t)));
      text.select(1, t).copy_(drawn_tokens(writer.logits_by(writer.head(), hidden).select(1, 0), shares));
    }
    const at::Tensor back = text.to(at::kCPU, at::kInt).contiguous();
    for (int64_t r = 0; r < rows; ++r) {
      const int32_t* tokens = back.data_ptr<int32_t>() + r * time;
      written.windows.push_back({{tokens, tokens + time}, 0, static_cast<int64_t>(written.windows.size())});
      written.group.push_back(beginnings.group[static_cast<size_t>(chosen[static_cast<size_t>(r)])]);
    }
    if (progress != nullptr) progress->update(first + rows);
  }
  if (progress != nullptr) progress->end();
  written.hash = training_data_hash(written);
  return written;
}

}  // namespace vernier
