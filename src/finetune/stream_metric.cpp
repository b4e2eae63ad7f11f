#include "finetune/stream_metric.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "base/counter_random.h"
#include "ops/mixed_arithmetic.h"

namespace vernier {

namespace {

constexpr int64_t kGradientsPerNumber = 8, kFewestExamples = 64;
constexpr double kSpread = 0.1;

/// A label of each row, drawn from what the row answers. @shape logits [examples, rows, classes] -> int64 [examples, rows]
at::Tensor drawn_labels(const at::Tensor& logits, uint64_t seed, int64_t first) {
  const at::Tensor until = at::empty({logits.size(0), logits.size(1)}, at::kFloat);
  float* next = until.data_ptr<float>();
  for (int64_t e = 0; e < logits.size(0); ++e)
    for (int64_t r = 0; r < logits.size(1); ++r)
      *next++ = static_cast<float>(
          random_share(random_bits(seed, static_cast<uint64_t>(first + e)), static_cast<uint64_t>(r)));
  const at::Tensor sums = logits.softmax(-1, at::kFloat).cumsum_(-1);
  return at::searchsorted(sums, sent(until, logits.device()).unsqueeze(-1)).squeeze(-1).clamp_max(logits.size(-1) - 1);
}

/// Sums of g g' over rows.
struct Moments {
  at::Tensor sum;
  int64_t rows = 0;

  /// `counted`: [examples, rows], which of them; undefined: all
  void add(const at::Tensor& gradient, const at::Tensor& counted) {
    if (gradient.size(1) == 0) return;
    const at::Tensor g = gradient.reshape({-1, gradient.size(-1)}).to(at::kFloat);
    rows += counted.defined() ? counted.sum().item<int64_t>() : g.size(0);  // the gradient of others is 0
    const at::Tensor own = at::matmul(g.t(), g);
    sum = sum.defined() ? sum + own : own;
  }
  at::Tensor metric() const {
    if (rows == 0) return {};
    const at::Tensor mean = sum / static_cast<double>(rows);
    const at::Tensor spread =
        at::eye(mean.size(0), mean.options()) * (mean.trace() / static_cast<double>(mean.size(0)));
    return (1 - kSpread) * mean + kSpread * spread;
  }
};

/// e' G e of each row, G symmetric: the gradient is twice the product that is there anyway.
struct QuadraticForm : torch::autograd::Function<QuadraticForm> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& e, const at::Tensor& metric) {
    const at::Tensor product = at::matmul(e, metric);
    context->save_for_backward({product});
    return (product * e).sum(-1);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const c10::NoGradGuard once;
    return {context->get_saved_variables()[0] * (2 * gradients[0]).unsqueeze(-1), at::Tensor()};
  }
};

at::Tensor quadratic_form(const at::Tensor& e, const at::Tensor& metric, bool once) {
  return once ? QuadraticForm::apply(e, metric) : (at::matmul(e, metric) * e).sum(-1);
}

}  // namespace

std::vector<StreamMetric> stream_metrics(const Model& model, const StreamMetricSetup& setup) {
  const c10::AutoGradMode with_gradients(true);
  const at::Device device = model.weight(model.tensors().front()).device();
  const BatchForward forward(model, setup.rows, device, {.once = true, .streams_need_gradients = true});
  std::vector<Moments> answering, others;
  int64_t examples = 0, wanted = kFewestExamples;
  while (examples < wanted || answering.front().rows < kGradientsPerNumber * forward.width()) {
    const ExampleBatch batch = setup.batch(examples);
    std::vector<at::Tensor> gradients, streams;
    const at::Tensor scored = batch.labels >= 0;
    {
      const MixedArithmetic arithmetic(setup.mixed, device);
      const Answered answered = forward.answers(batch);
      streams = answered.streams;
      const at::Tensor labels = drawn_labels(answered.logits.detach(), setup.seed, examples);
      const at::Tensor log_p = answered.logits.log_softmax(-1, at::kFloat).gather(-1, labels.unsqueeze(-1)).squeeze(-1);
      gradients = torch::autograd::grad({(log_p * scored).sum()}, streams);
    }
    const int64_t last = streams.back().size(1);
    const at::Tensor counted = last == scored.size(1) ? scored : at::Tensor();
    answering.resize(gradients.size());
    others.resize(gradients.size());
    for (size_t layer = 0; layer < gradients.size(); ++layer) {
      const at::Tensor& g = gradients[layer];
      others[layer].add(g.narrow(1, 0, g.size(1) - last), {});
      answering[layer].add(g.narrow(1, g.size(1) - last, last), counted);
    }
    examples += batch.labels.size(0);
  }
  std::vector<StreamMetric> metrics;
  for (size_t layer = 0; layer < answering.size(); ++layer)
    metrics.push_back({answering[layer].metric(), others[layer].metric()});
  return metrics;
}

at::Tensor stream_divergence(const std::vector<StreamMetric>& metrics, const Answered& a) {
  at::Tensor sum;
  const at::Tensor scored = a.labels >= 0;
  const int64_t last = a.streams.back().size(1);
  for (size_t layer = 0; layer < metrics.size(); ++layer) {
    const StreamMetric& metric = metrics[layer];
    const at::Tensor e = (a.streams[layer] - a.teacher_streams[layer].detach()).to(metric.answering.scalar_type());
    const int64_t before = e.size(1) - last;
    const at::Tensor answering = quadratic_form(e.narrow(1, before, last), metric.answering, a.once);
    at::Tensor own = (last == scored.size(1) ? answering * scored : answering).sum(-1);
    if (before > 0) own = own + quadratic_form(e.narrow(1, 0, before), metric.others, a.once).sum(-1);
    sum = sum.defined() ? sum + own : own;
  }
  return sum / (2.0 * static_cast<double>(metrics.size()) * scored.sum(-1).clamp_min(1));
}

}  // namespace vernier
