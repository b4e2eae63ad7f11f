#include "quantize/layer_problem.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "base/counter_random.h"
#include "ops/parallel.h"
#include "screen/layer_backward.h"

namespace vernier {

namespace {

constexpr int64_t kRowsOfATask = 128;
constexpr double kLeastSquare = 1e-12;
constexpr double kAlike = 0.1;

at::Tensor leaving_stream(const AtenModel& net, const AtenBlock& block, const at::Tensor& entering) {
  const c10::NoGradGuard no_grad;
  AtenOps ops = net.ops(entering.size(1));
  return layer_forward(net, ops, block, 0, entering);
}

/// M e' / |y|^2, [1, positions, hidden].
at::Tensor weighed(const LayerProblem& problem, const at::Tensor& error, const at::Tensor& wanted) {
  return at::matmul(error, problem.metric) / wanted.square().sum(-1, /*keepdim=*/true).clamp_min(kLeastSquare);
}

/// Inputs and gradients of a matrix in one window; of experts those of the tokens that they got.
struct MatrixRows {
  at::Tensor inputs, gradients;
};

}  // namespace

at::Tensor layer_metric(const at::Tensor& gradients) {
  const at::Tensor alike = at::eye(gradients.size(0), gradients.options());
  const double mean = gradients.diagonal().mean().item<double>();
  return mean > 0 ? gradients * ((1 - kAlike) / mean) + alike * kAlike : alike;
}

std::vector<at::Tensor> leaving_streams(const AtenModel& net, const AtenBlock& block,
                                        const std::vector<at::Tensor>& entering, int threads) {
  std::vector<at::Tensor> leaving(entering.size());
  parallel_for(static_cast<int64_t>(entering.size()), threads, [&](int64_t i, int) {
    const auto w = static_cast<size_t>(i);
    leaving[w] = leaving_stream(net, block, entering[w]);
  });
  return leaving;
}

double layer_error(const LayerProblem& problem, const AtenBlock& block, const std::vector<size_t>& windows) {
  std::vector<double> sums(windows.size());
  parallel_for(static_cast<int64_t>(windows.size()), problem.threads, [&](int64_t i, int) {
    const c10::NoGradGuard no_grad;
    const size_t w = windows[static_cast<size_t>(i)];
    const at::Tensor error = leaving_stream(problem.net, block, problem.entering[w]) - problem.wanted[w];
    sums[static_cast<size_t>(i)] = (error * weighed(problem, error, problem.wanted[w])).sum(at::kDouble).item<double>();
  });
  double sum = 0, tokens = 0;
  for (size_t i = 0; i < windows.size(); ++i) {
    sum += sums[i];
    tokens += static_cast<double>(problem.wanted[windows[i]].size(1));
  }
  return sum / std::max(tokens, 1.0);
}

std::map<TensorId, PlainCosts> plain_costs(const LayerProblem& problem, const AtenBlock& block,
                                           const std::vector<size_t>& windows, uint64_t seed) {
  // Random vectors with the metric as their covariance have gradients whose squares are the metric's, traced back.
  const at::Tensor root = at::linalg_cholesky(problem.metric);
  struct Sums {
    at::Tensor rows, cols;
    int64_t tokens = 0;
  };
  std::vector<std::map<TensorId, Sums>> of_windows(windows.size());
  parallel_for(static_cast<int64_t>(windows.size()), problem.threads, [&](int64_t i, int) {
    const size_t w = windows[static_cast<size_t>(i)];
    const LeavingGradient gradient = [&](const at::Tensor& leaving) {
      at::Tensor signs = at::empty(leaving.sizes(), at::kFloat);
      float* sign = signs.data_ptr<float>();
      for (int64_t k = 0; k < signs.numel(); ++k)
        sign[k] = random_bits(seed + w, static_cast<uint64_t>(k)) % 2 == 0 ? 1.0f : -1.0f;
      return at::matmul(signs.to(leaving.scalar_type()), root.t()) /
             problem.wanted[w].square().sum(-1, /*keepdim=*/true).clamp_min(kLeastSquare).sqrt();
    };
    layer_backward(
        problem.net, problem.blueprint, block, 0, problem.entering[w], gradient,
        [&](const TensorId& id, const at::Tensor& inputs, const at::Tensor& gradients) {
          const at::Tensor rows = gradients.reshape({-1, gradients.size(-1)});
          of_windows[static_cast<size_t>(i)][id] = {rows.square().sum(0), inputs.square().sum(0), rows.size(0)};
        });
  });
  std::map<TensorId, Sums> sums;
  int64_t tokens = 0;
  for (size_t i = 0; i < windows.size(); ++i) {
    tokens += problem.wanted[windows[i]].size(1);
    for (const auto& [id, own] : of_windows[i]) {
      Sums& sum = sums[id];
      sum.rows = sum.rows.defined() ? sum.rows + own.rows : own.rows;
      sum.cols = sum.cols.defined() ? sum.cols + own.cols : own.cols;
      sum.tokens += own.tokens;
    }
  }
  std::map<TensorId, PlainCosts> costs;
  for (const auto& [id, sum] : sums)
    costs[id] = {sum.rows / static_cast<double>(sum.tokens), sum.cols / static_cast<double>(tokens)};
  return costs;
}

std::map<TensorId, at::Tensor> weight_gradients(const LayerProblem& problem, const AtenBlock& block,
                                                const std::vector<size_t>& windows) {
  std::vector<std::map<TensorId, MatrixRows>> products(windows.size());
  parallel_for(static_cast<int64_t>(windows.size()), problem.threads, [&](int64_t i, int) {
    const size_t w = windows[static_cast<size_t>(i)];
    const LeavingGradient gradient = [&](const at::Tensor& leaving) {
      return weighed(problem, leaving - problem.wanted[w], problem.wanted[w]);
    };
    layer_backward(problem.net, problem.blueprint, block, 0, problem.entering[w], gradient,
                   [&](const TensorId& id, const at::Tensor& inputs, const at::Tensor& gradients) {
                     products[static_cast<size_t>(i)][id] = {inputs, gradients.reshape({-1, gradients.size(-1)})};
                   });
  });
  struct Task {
    TensorId id;
    int64_t first, count;
  };
  std::map<TensorId, at::Tensor> sums;
  std::vector<Task> tasks;
  for (const auto& of_window : products)
    for (const auto& [id, product] : of_window) {
      if (sums.contains(id)) continue;
      const int64_t rows = product.gradients.size(1);
      sums[id] = at::zeros({rows, product.inputs.size(1)}, product.inputs.options());
      for (int64_t first = 0; first < rows; first += kRowsOfATask)
        tasks.push_back({id, first, std::min(kRowsOfATask, rows - first)});
    }
  parallel_for(static_cast<int64_t>(tasks.size()), problem.threads, [&](int64_t t, int) {
    const c10::NoGradGuard no_grad;
    const Task& task = tasks[static_cast<size_t>(t)];
    at::Tensor rows = sums.at(task.id).narrow(0, task.first, task.count);
    for (const auto& of_window : products)
      if (const auto product = of_window.find(task.id); product != of_window.end())
        rows.addmm_(product->second.gradients.narrow(1, task.first, task.count).t(), product->second.inputs);
  });
  return sums;
}

}  // namespace vernier
