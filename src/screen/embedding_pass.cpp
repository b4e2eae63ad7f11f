#include "screen/embedding_pass.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "ops/parallel.h"
#include "screen/streams.h"

namespace vernier {

namespace {

const TensorId kEmbedding{TensorRole::kTokenEmbedding, -1};

/// Errors of some rows of the embedding, float32 [rows, hidden] by scheme.
class RowErrors {
 public:
  RowErrors(const ScreenPass& pass, const at::Tensor& weight, const std::vector<int64_t>& tokens) : tokens_(tokens) {
    const at::Tensor index = at::tensor(tokens, at::kLong);
    if (pass.errors.rows_independent(kEmbedding)) {
      errors_ = pass.errors.of(kEmbedding, weight.index_select(0, index).to(at::kFloat));
    } else {
      for (const at::Tensor& error : pass.errors.of(kEmbedding, weight.to(at::kFloat).contiguous()))
        errors_.push_back(error.defined() ? error.index_select(0, index) : at::Tensor());
    }
  }

  std::vector<const float*> row(int64_t token) const {
    const auto place = std::lower_bound(tokens_.begin(), tokens_.end(), token) - tokens_.begin();
    std::vector<const float*> values;
    for (const at::Tensor& error : errors_)
      values.push_back(error.defined() ? error.data_ptr<float>() + place * error.size(1) : nullptr);
    return values;
  }

 private:
  const std::vector<int64_t>& tokens_;
  std::vector<at::Tensor> errors_;
};

std::vector<int64_t> sorted_tokens(std::vector<int64_t> tokens) {
  std::sort(tokens.begin(), tokens.end());
  tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
  return tokens;
}

std::vector<int64_t> tokens_read(const ScreenWindow& window) {
  return {window.window->tokens.begin(), window.window->tokens.end() - 1};
}

/// Sums of all rows of the weights, a tile at a time.
WeightSums weight_sums(const ScreenPass& pass, const at::Tensor& weight) {
  WeightSums sums;
  const auto schemes = static_cast<int64_t>(pass.errors.schemes());
  const int64_t rows = weight.size(0);
  const int64_t step = pass.errors.rows_independent(kEmbedding)
                           ? vocabulary_tile(rows, 4 * schemes * weight.size(1), pass.memory.tile_bytes)
                           : rows;
  for (int64_t first = 0; first < rows; first += step) {
    const at::Tensor part = weight.narrow(0, first, std::min(step, rows - first)).to(at::kFloat).contiguous();
    pass.errors.add_sums(kEmbedding, pass.sums.grid(kEmbedding), first, part, pass.errors.of(kEmbedding, part), sums);
  }
  return sums;
}

std::vector<const GradientSums*> pointers(const std::vector<GradientSums>& windows) {
  std::vector<const GradientSums*> all;
  for (const GradientSums& window : windows) all.push_back(&window);
  return all;
}

/// Adds what the look-up of a sequence's tokens contributes.
void add_look_up(const ScreenPass& pass, const RowErrors& errors, const ScreenWindow& window,
                 const at::Tensor& gradient, const at::Tensor* of_output, GradientSums& sums) {
  const std::vector<int64_t> read = tokens_read(window), tokens = sorted_tokens(read);
  std::vector<int64_t> places;
  for (const int64_t token : read)
    places.push_back(std::lower_bound(tokens.begin(), tokens.end(), token) - tokens.begin());
  const int64_t width = gradient.size(-1);
  const at::Tensor own = at::zeros({static_cast<int64_t>(tokens.size()), width})
                             .index_add_(0, at::tensor(places, at::kLong), gradient.view({-1, width}))
                             .mul_(pass.model.config().embedding_scale);
  const SliceGrid& grid = pass.sums.grid(kEmbedding);
  const at::Tensor total = of_output != nullptr ? own + *of_output : own;
  GradientSums without;  // the output matrix' part of these rows, which is in `sums` already
  without.resize(grid, pass.errors.schemes(), pass.channels != nullptr);
  for (size_t t = 0; t < tokens.size(); ++t) {
    const std::vector<const float*> values = errors.row(tokens[t]);
    const auto place = static_cast<int64_t>(t) * width;
    add_products(grid, tokens[t], 1, total.data_ptr<float>() + place, values, sums);
    if (of_output != nullptr) add_products(grid, tokens[t], 1, of_output->data_ptr<float>() + place, values, without);
  }
  if (of_output != nullptr) sums.add(without, -1);
}

}  // namespace

void add_embeddings(const ScreenPass& pass, const std::vector<at::Tensor>& finals, OutputGradients output,
                    const std::vector<at::Tensor>& gradients) {
  const std::vector<ScreenWindow>& windows = pass.sums.windows();
  const auto count = static_cast<int64_t>(windows.size());
  const bool tied = pass.model.config().tied_embedding;
  const TensorId output_matrix = pass.model.output_matrix();
  std::vector<InputSums> inputs(windows.size());
  std::vector<const InputSums*> input_pointers;
  if (pass.channels != nullptr)
    for (size_t w = 0; w < windows.size(); ++w) {
      inputs[w] = input_sums(finals[w]);
      input_pointers.push_back(&inputs[w]);
    }
  if (!tied && pass.sums.has(output_matrix))
    add_matrix(pass, output_matrix, pointers(output.sums), output.weights, input_pointers);
  pass.sums.without_rows(output_matrix);
  pass.sums.without_rows(kEmbedding);
  if (!pass.sums.has(kEmbedding)) return;

  const at::Tensor& weight = pass.aten.embedding();
  std::vector<int64_t> all;
  for (const ScreenWindow& window : windows)
    for (const int64_t token : tokens_read(window)) all.push_back(token);
  const std::vector<int64_t> used = sorted_tokens(std::move(all));
  const RowErrors errors(pass, weight, used);
  std::vector<GradientSums> sums = std::move(output.sums);
  if (!tied) {
    sums.assign(windows.size(), {});
    for (GradientSums& each : sums)
      each.resize(pass.sums.grid(kEmbedding), pass.errors.schemes(), pass.channels != nullptr);
  }
  parallel_for(count, pass.threads, [&](int64_t i, int) {
    const c10::NoGradGuard no_grad;
    const auto w = static_cast<size_t>(i);
    add_look_up(pass, errors, windows[w], gradients[w], tied ? &output.token_gradients[w] : nullptr, sums[w]);
  });
  const WeightSums weights = tied ? std::move(output.weights) : weight_sums(pass, weight);
  add_matrix(pass, kEmbedding, pointers(sums), weights, tied ? input_pointers : std::vector<const InputSums*>{});
}

}  // namespace vernier
