#include "finetune/stream_metric.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include "base/counter_random.h"
#include "base/fail.h"
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

/// Sums of g g' over rows [count, hidden], or over as many for each of several [several, count, hidden].
struct Moments {
  at::Tensor sum;
  int64_t rows = 0;

  void add(const at::Tensor& gradients, int64_t counted) {
    const at::Tensor g = gradients.to(at::kFloat), own = at::matmul(g.transpose(-1, -2), g);
    sum = sum.defined() ? sum + own : own;
    rows += counted;
  }
  at::Tensor metric(at::ScalarType type) const {
    if (!sum.defined()) return {};
    const at::Tensor mean = sum / static_cast<double>(rows);
    const at::Tensor power = mean.diagonal(0, -2, -1).mean(-1).unsqueeze(-1).unsqueeze(-1);
    return ((1 - kSpread) * mean + kSpread * power * at::eye(mean.size(-1), mean.options())).to(type);
  }
};

/// Rows of e, [examples, rows, hidden], times the metric that all share or each has.
at::Tensor times_metric(const at::Tensor& e, const at::Tensor& metric) {
  return metric.dim() == 2 ? at::matmul(e, metric) : at::matmul(e.transpose(0, 1), metric).transpose(0, 1);
}

at::Tensor sum_of_rows(const at::Tensor& terms) {
  return terms.sum({-1}, false, terms.scalar_type() == at::kBFloat16 ? at::kFloat : terms.scalar_type());
}

/// e' G e of each row, e = stream - teacher, G symmetric: the gradient is twice the product that is there anyway. What lies
/// between is of G's type, which halves what passes through memory where that is bfloat16.
struct QuadraticForm : torch::autograd::Function<QuadraticForm> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& stream,
                            const at::Tensor& teacher, const at::Tensor& metric) {
    at::Tensor e = at::empty(stream.sizes(), metric.options());
    at::sub_out(e, stream, teacher);
    const at::Tensor product = times_metric(e, metric);
    context->save_for_backward({product});
    return sum_of_rows(e.mul_(product));
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const c10::NoGradGuard once;
    return {context->get_saved_variables()[0] * (2 * gradients[0]).unsqueeze(-1), at::Tensor(), at::Tensor()};
  }
};

at::Tensor quadratic_form(const at::Tensor& stream, const at::Tensor& teacher, const at::Tensor& metric, bool once) {
  if (once) return QuadraticForm::apply(stream, teacher, metric);
  const at::Tensor e = (stream - teacher).to(metric.scalar_type());
  return sum_of_rows(times_metric(e, metric) * e);
}

}  // namespace

std::vector<StreamMetric> stream_metrics(const Model& model, const StreamMetricSetup& setup) {
  const c10::AutoGradMode with_gradients(true);
  const at::Device device = model.weight(model.tensors().front()).device();
  const BatchForward forward(
      model, setup.rows, device,
      {.kernel_attention = setup.kernel_attention, .once = true, .streams_need_gradients = true});
  std::vector<Moments> answering, others;
  int64_t examples = 0;
  while (examples < kFewestExamples || answering.front().rows < kGradientsPerNumber * forward.width()) {
    const ExampleBatch batch = setup.batch(examples);
    const at::Tensor scored = batch.labels >= 0;
    std::vector<at::Tensor> streams;
    at::Tensor log_p;
    {
      const MixedArithmetic arithmetic(setup.mixed, device);
      const Answered answered = forward.answers(batch);
      streams = answered.streams;
      const at::Tensor labels = drawn_labels(answered.logits.detach(), setup.seed, examples);
      log_p = answered.logits.log_softmax(-1, at::kFloat).gather(-1, labels.unsqueeze(-1)).squeeze(-1);
    }
    const std::vector<at::Tensor> gradients = torch::autograd::grad({(log_p * scored).sum()}, streams);
    const int64_t last = streams.back().size(1), count = batch.labels.size(0);
    const bool all_answer = last == scored.size(1);
    const int64_t counted = all_answer ? scored.sum().item<int64_t>() : count;
    answering.resize(gradients.size());
    others.resize(gradients.size());
    for (size_t layer = 0; layer < gradients.size(); ++layer) {
      const at::Tensor& g = gradients[layer];
      const int64_t before = g.size(1) - last, hidden = g.size(2);
      const at::Tensor own = g.narrow(1, before, last);
      // Rows that are not scored act on later ones, but are not compared.
      answering[layer].add(all_answer ? (own * scored.unsqueeze(-1)).reshape({-1, hidden}) : own.transpose(0, 1),
                           counted);
      if (before > 0) others[layer].add(g.narrow(1, 0, before).reshape({-1, hidden}), before * count);
    }
    examples += count;
    if (examples >= kFewestExamples && answering.front().rows == 0)
      fail(ErrorKind::kInvalidArgument, "finetune: of {} examples no row is scored: nothing tells what streams mean",
           examples);
  }
  const at::ScalarType type = setup.mixed && multiplies_bfloat16(device) ? at::kBFloat16 : at::kFloat;
  std::vector<StreamMetric> metrics;
  for (size_t layer = 0; layer < answering.size(); ++layer)
    metrics.push_back({answering[layer].metric(type), others[layer].metric(type)});
  return metrics;
}

at::Tensor stream_divergence(const std::vector<StreamMetric>& metrics, const Answered& a) {
  at::Tensor sum;
  const at::Tensor scored = a.labels >= 0;
  const int64_t last = a.streams.back().size(1);
  for (size_t layer = 0; layer < metrics.size(); ++layer) {
    const StreamMetric& metric = metrics[layer];
    const at::Tensor &stream = a.streams[layer], teacher = a.teacher_streams[layer].detach();
    const int64_t before = stream.size(1) - last;
    const at::Tensor answering =
        quadratic_form(stream.narrow(1, before, last), teacher.narrow(1, before, last), metric.answering, a.once);
    at::Tensor own = (last == scored.size(1) ? answering * scored : answering).sum(-1);
    if (before > 0)
      own = own +
            quadratic_form(stream.narrow(1, 0, before), teacher.narrow(1, 0, before), metric.others, a.once).sum(-1);
    sum = sum.defined() ? sum + own : own;
  }
  return sum / (2.0 * static_cast<double>(metrics.size()) * scored.sum(-1).clamp_min(1));
}

}  // namespace vernier
