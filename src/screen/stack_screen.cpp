#include "screen/stack_screen.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>

#include "base/fail.h"
#include "engine/aten_answers.h"
#include "engine/read_out.h"
#include "ops/parallel.h"
#include "screen/embedding_pass.h"
#include "screen/layer_pass.h"
#include "screen/outside_matrix.h"

namespace vernier {

namespace {

const TensorId kPatches{TensorRole::kPatchEmbedding};

/// A matrix on its way: what goes in is seen where it is observed, and the gradient by what comes out is that of a bias of its
/// own for every row.
struct TappedMatrix {
  AtenStack stack;
  at::Tensor inputs, bias;

  void tap(const at::Tensor& x) {
    inputs = x.detach();
    std::vector<int64_t> shape = x.sizes().vec();
    shape.back() = stack[0].weight.size(0);
    const at::Tensor own = stack[0].bias;
    bias = own.defined() ? own.to(at::kFloat).expand(shape).clone() : at::zeros(shape);
    stack[0].bias = bias.requires_grad_(true);
  }
};

}  // namespace

StackScreen::Inputs StackScreen::inputs_of(const ModelConfig& stack, const AnswerData& data) {
  Inputs inputs;
  if (stack.reads_images()) {
    inputs.rows = at::zeros({1}, at::kLong);
    return inputs;
  }
  std::vector<int64_t> rows;
  for (const std::vector<int32_t>& text : data.inputs.texts) rows.push_back(answering_row(stack, text));
  inputs.rows = at::tensor(rows, at::kLong);
  inputs.ids = padded_texts(data.inputs.texts);
  const int64_t* ids = inputs.ids.data_ptr<int64_t>();
  for (int64_t i = 0; i < inputs.ids.numel(); ++i) inputs.prompts.tokens.push_back(static_cast<int32_t>(ids[i]));
  inputs.prompts.tokens.push_back(0);  // of a window the last token is not read
  return inputs;
}

std::vector<ScreenWindow> StackScreen::windows_of(const ModelConfig& stack, const Inputs& inputs,
                                                  const AnswerData& data) {
  const bool sees = stack.reads_images();
  std::vector<ScreenWindow> windows(static_cast<size_t>(data.inputs.images));
  for (size_t i = 0; i < windows.size(); ++i) {
    ScreenWindow& own = windows[i];
    own.window = sees ? nullptr : &inputs.prompts;
    own.index = i;
    own.cluster = data.clusters[i];
    own.positions = sees ? stack.patches.rows() : inputs.ids.numel();
    own.first_row = sees ? stack.patches.count() : 0;
    own.scored = 1;
  }
  return windows;
}

PassSize StackScreen::size_of(const ModelConfig& stack, const AnswerData& data) {
  const Inputs inputs = inputs_of(stack, data);
  const bool sees = stack.reads_images();
  return pass_size(stack, windows_of(stack, inputs, data), sees ? 1 : inputs.ids.size(0),
                   sees ? data.inputs.images : 1);
}

StackScreen::StackScreen(const Model& model, Stack stack, const Calibration& calibration, const AnswerData& data,
                         const std::vector<Scheme>& schemes, std::vector<Component> components,
                         const ScreenOptions& options, const LayerTick& tick, ProgressSink* progress)
    : data_(data),
      options_(options),
      tick_(tick),
      threads_(resolve_threads(options.compute)),
      stack_(stack),
      model_(stack_of(model, stack)),
      inputs_(inputs_of(model_.config(), data)),
      aten_(model_, sees() ? model_.config().patches.rows() : inputs_.ids.size(1),
            AtenModel::Place{at::kCPU, at::kFloat, /*layer_by_layer=*/true}),
      errors_(model, calibration, schemes, threads_, stack),
      sums_(model_.config(), std::move(components), windows_of(model_.config(), inputs_, data), schemes.size(),
            options.kfac_rows > 0),
      pass_{model_,   aten_,     errors_,
            options_, threads_,  share_memory(size_of(model_.config(), data), options_, threads_, progress),
            sums_,    matrices_, nullptr,
            nullptr} {
  const c10::NoGradGuard no_grad;
  const int layers = model_.config().depth();
  streams_.emplace(entering(), layers, pass_.memory.streams_bytes,
                   [this](StreamsAt& streams, int layer, bool first) { run(streams, layer, first); });
  std::vector<at::Tensor> answers;
  for (const at::Tensor& leaving : streams_->leaving()) {
    const AtenOps ops = aten_.ops(leaving.size(1));
    finals_.push_back(aten_.finish(ops, leaving, layers, 0).contiguous());
    if (!finals_.back().isfinite().all().item<bool>())
      fail(ErrorKind::kBadFile,
           "screen: {}: the hidden state after the last layer is not finite: products of its weights overflow; the "
           "file is damaged, or its configuration is of another model",
           aten_.name());
    answers.push_back(aten_.read_out(ops, finals_.back(), inputs_.rows));
  }
  streams_->leaving().clear();
  answers_ = at::cat(answers);
}

at::Tensor StackScreen::pixels(size_t image) const {
  const PatchConfig& p = model_.config().patches;
  return at::tensor(data_.inputs.pixels(static_cast<int64_t>(image))).view({1, p.channels, p.image_size, p.image_size});
}

StreamsAt StackScreen::entering() const {
  if (!sees()) return {aten_.embed(inputs_.ids).contiguous()};
  StreamsAt streams(static_cast<size_t>(data_.inputs.images));
  parallel_for(data_.inputs.images, threads_, [&](int64_t i, int) {
    const c10::NoGradGuard no_grad;
    const auto image = static_cast<size_t>(i);
    streams[image] = aten_.embed_images(aten_.ops(model_.config().patches.rows()), pixels(image)).contiguous();
  });
  return streams;
}

StreamsAt StackScreen::of_windows(const StreamsAt& streams) const {
  return sees() ? streams : StreamsAt(sums_.windows().size(), streams.front());
}

void StackScreen::run(StreamsAt& streams, int layer, bool first) const {
  const AtenBlock block = aten_.block(layer);
  model_.release_pages();
  const bool last = layer + 1 == model_.config().depth();
  const size_t each = sums_.windows().size() / streams.size();
  parallel_for(static_cast<int64_t>(streams.size()), pass_.memory.forward, [&](int64_t i, int) {
    const c10::NoGradGuard no_grad;
    at::Tensor& stream = streams[static_cast<size_t>(i)];
    AtenOps ops = aten_.ops(stream.size(1));
    stream = run_block(ops, block, stream, last ? sums_.windows().front().first_row : 0);
    for (size_t n = 0; first && tick_ && n < each; ++n) tick_();
  });
}

void StackScreen::differentiate_read_out(const std::vector<at::Tensor>& by_answers, std::vector<at::Tensor>& gradients,
                                         OutsideMatrix& head, OutsideMatrix& distilled) const {
  const StreamsAt finals = of_windows(finals_);
  parallel_for(static_cast<int64_t>(finals.size()), threads_, [&](int64_t i, int) {
    const c10::AutoGradMode with_gradients(true);
    const auto w = static_cast<size_t>(i);
    TappedMatrix own{aten_.head(), {}, {}}, other{aten_.distilled_head(), {}, {}};
    const AtenObserver observer = [&](const SiteId& site, const at::Tensor& x) {
      if (site.site == Site::kOutputInput) own.tap(x);
      if (site.site == Site::kDistilledInput) other.tap(x);
    };
    const at::Tensor hidden = finals[w].detach().requires_grad_(true);
    const AtenOps ops = aten_.ops(hidden.size(1), &observer);
    const at::Tensor answers = aten_.read_out_by(own.stack, other.stack, ops, hidden, inputs_.rows);
    std::vector<at::Tensor> leaves{hidden, own.bias};
    if (other.bias.defined()) leaves.push_back(other.bias);
    const std::vector<at::Tensor> found = torch::autograd::grad({answers}, leaves, {by_answers[w]});
    gradients[w] = found[0];
    head.add(w, found[1], own.inputs);
    if (other.bias.defined()) distilled.add(w, found[2], other.inputs);
  });
}

void StackScreen::add_patches(const std::vector<at::Tensor>& gradients) {
  OutsideMatrix patches(pass_, kPatches);
  parallel_for(static_cast<int64_t>(gradients.size()), threads_, [&](int64_t i, int) {
    const c10::AutoGradMode with_gradients(true);
    const auto w = static_cast<size_t>(i);
    TappedMatrix own{aten_.patches(), {}, {}};
    const AtenObserver observer = [&](const SiteId& site, const at::Tensor& x) {
      if (site.site == Site::kPatchInput) own.tap(x);
    };
    const AtenOps ops = aten_.ops(model_.config().patches.rows(), &observer);
    const at::Tensor stream = aten_.embed_images_by(own.stack, ops, pixels(w));
    patches.add(w, torch::autograd::grad({stream}, {own.bias}, {gradients[w]})[0], own.inputs);
  });
  patches.finish();
}

void StackScreen::differentiate(const std::vector<at::Tensor>& by_answers) {
  std::vector<at::Tensor> gradients(by_answers.size());
  OutsideMatrix head(pass_, model_.output_matrix()), distilled(pass_, {TensorRole::kDistillationClassifier});
  differentiate_read_out(by_answers, gradients, head, distilled);
  distilled.finish();
  for (int layer = model_.config().depth() - 1; layer >= 0; --layer)
    add_layer(pass_, layer, of_windows(streams_->entering(layer)), gradients, tick_);
  if (sees()) {
    head.finish();
    add_patches(gradients);
    return;
  }
  for (at::Tensor& gradient : gradients) gradient = gradient.contiguous();
  add_embeddings(pass_, finals_, std::move(head).as_output(), gradients);
}

std::vector<ScreenedMatrix> StackScreen::matrices() const {
  std::vector<ScreenedMatrix> all = matrices_;
  for (ScreenedMatrix& matrix : all) matrix.tensor.stack = stack_;
  return all;
}

}  // namespace vernier
